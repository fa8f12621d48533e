// SPDX-License-Identifier: MIT
//
// What the specs need of POSIX and Lua does not have: start a program with its output in files,
// look whether it has ended, signal it, and be to it what a service manager is: a socket that it
// tells things, and listening sockets that it gets. Loaded by the system's own Lua under the name
// `spec_posix`. A started program dies with the Lua process that started it, however that one ends.
#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <linux/filter.h>
#include <lua.h>
#include <malloc.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WORDS_MAX = 256, SOCKETS_MAX = 32, EXIT_NO_PROGRAM = 127 };

struct command {
    const char *words[WORDS_MAX];       // argv, ended by NULL
    const char *environment[WORDS_MAX]; // NAME=value, ended by NULL; added to what is inherited
    const char *folder;
    const char *paths[3]; // stdin, stdout, stderr
    int sockets[SOCKETS_MAX];
    int socket_count;
};

static int l_spawn(lua_State *L);
static int l_wait(lua_State *L);
static int l_kill(lua_State *L);
static int l_make_folder(lua_State *L);
static int l_receive(lua_State *L);
static int l_open_socket(lua_State *L);
static int l_open_pipe(lua_State *L);
static int l_close(lua_State *L);
static int l_deafen(lua_State *L);
static int l_allocated(lua_State *L);
static int open_socket(const char *name, int type);
static int bind_to(int fd, const char *name);
static void check_sockets(lua_State *L, struct command *command);
static void pass_sockets(const struct command *command);
static void check_words(lua_State *L, const char *name, const char **words);
static _Noreturn void become(const struct command *command);
static int push_failure(lua_State *L);

static const luaL_Reg FUNCTIONS[] = {
    {"spawn", l_spawn},     {"wait", l_wait},
    {"kill", l_kill},       {"make_folder", l_make_folder},
    {"receive", l_receive}, {"open_socket", l_open_socket},
    {"close", l_close},     {"open_pipe", l_open_pipe},
    {"deafen", l_deafen},   {"allocated", l_allocated},
    {NULL, NULL},
};

int luaopen_spec_posix(lua_State *L)
{
    luaL_newlib(L, FUNCTIONS);
    return 1;
}

/// allocated() -> the bytes that this process has from libc's allocator and has not given back. 0
/// with a sanitizer, which has an allocator of its own and tells of leaks by itself.
static int l_allocated(lua_State *L)
{
    struct mallinfo2 info = mallinfo2();
    lua_pushinteger(L, (lua_Integer)(info.uordblks + info.hblkhd));
    return 1;
}

/// spawn{ argv = {...}, env = {"NAME=value"}, cwd =, stdin =, stdout =, stderr =, sockets = {...} }
/// -> pid. The sockets become descriptors 3, 4 ..., with the variables of sd_listen_fds(3).
static int l_spawn(lua_State *L)
{
    static const char *const STREAMS[] = {"stdin", "stdout", "stderr"};
    struct command command = {.folder = NULL};
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    check_words(L, "argv", command.words);
    check_words(L, "env", command.environment);
    lua_getfield(L, 1, "cwd");
    command.folder = luaL_optstring(L, -1, NULL);
    for (int i = 0; i < 3; i++) {
        lua_getfield(L, 1, STREAMS[i]);
        command.paths[i] = luaL_optstring(L, -1, "/dev/null");
    }
    check_sockets(L, &command);
    pid_t pid = fork();
    if (pid == 0) {
        become(&command);
    }
    if (pid < 0) {
        return push_failure(L);
    }
    lua_pushinteger(L, pid);
    return 1;
}

/// wait(pid) -> nil while it runs; then "exit", code or "signal", number. Never blocks.
static int l_wait(lua_State *L)
{
    int status = 0;
    pid_t pid = waitpid((pid_t)luaL_checkinteger(L, 1), &status, WNOHANG);
    if (pid < 0) {
        return push_failure(L);
    }
    if (pid == 0) {
        lua_pushnil(L);
        return 1;
    }
    lua_pushstring(L, WIFEXITED(status) ? "exit" : "signal");
    lua_pushinteger(L, WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
    return 2;
}

/// kill(pid, signal) -> true or nil, message
static int l_kill(lua_State *L)
{
    pid_t pid = (pid_t)luaL_checkinteger(L, 1);
    if (kill(pid, (int)luaL_checkinteger(L, 2)) != 0) {
        return push_failure(L);
    }
    lua_pushboolean(L, 1);
    return 1;
}

/// make_folder() -> the path of a new, empty, private folder
static int l_make_folder(lua_State *L)
{
    char path[] = "/tmp/lunesse-spec-XXXXXX";
    if (mkdtemp(path) == NULL) {
        return push_failure(L);
    }
    lua_pushstring(L, path);
    return 1;
}

/// receive(descriptor, size, wait_ms) -> bytes; or nil and "timeout", "closed" (end of input) or
/// "reset". Takes no more than `size` bytes from the kernel, which buffered readers cannot promise.
static int l_receive(lua_State *L)
{
    struct pollfd wanted = {.fd = (int)luaL_checkinteger(L, 1), .events = POLLIN};
    lua_Integer size = luaL_checkinteger(L, 2);
    int wait_ms = (int)luaL_checkinteger(L, 3);
    luaL_argcheck(L, size > 0, 2, "nothing to receive");
    luaL_Buffer buffer;
    char *room = luaL_buffinitsize(L, &buffer, (size_t)size);
    ssize_t len = -1;
    if (poll(&wanted, 1, wait_ms) > 0) {
        len = read(wanted.fd, room, (size_t)size);
    } else {
        errno = EAGAIN;
    }
    if (len <= 0) {
        lua_pushnil(L);
        lua_pushstring(L, len == 0 ? "closed" : errno == EAGAIN ? "timeout" : "reset");
        return 2;
    }
    luaL_pushresultsize(&buffer, (size_t)len);
    return 1;
}

/// open_socket(kind, name) -> descriptor, port. Kinds: "listen", "bound" (a stream socket that does
/// not listen), "datagram", "sharing" (it listens, and would share its port with others who would).
/// Names: a path, "@abstract", or "" for a free port of 127.0.0.1.
static int l_open_socket(lua_State *L)
{
    static const char *const KINDS[] = {"listen", "bound", "datagram", "sharing", NULL};
    int kind = luaL_checkoption(L, 1, NULL, KINDS);
    const char *name = luaL_checkstring(L, 2);
    struct sockaddr_in address = {0};
    socklen_t len = sizeof(address);
    int fd = open_socket(name, kind == 2 ? SOCK_DGRAM : SOCK_STREAM);
    if (kind == 3 && fd >= 0) {
        int yes = 1;
        (void)setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &yes, sizeof(yes));
    }
    if (fd < 0 || ((kind == 0 || kind == 3) && listen(fd, 128) != 0)) {
        return push_failure(L);
    }
    lua_pushinteger(L, fd);
    if (*name != '\0') {
        return 1;
    }
    getsockname(fd, (struct sockaddr *)&address, &len);
    lua_pushinteger(L, ntohs(address.sin_port));
    return 2;
}

/// open_pipe(path) -> descriptor. Makes a pipe with a name, into which a program may write. It is
/// open both ways, so that nobody waits for the other side.
static int l_open_pipe(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);
    int fd = mkfifo(path, 0600) != 0 ? -1 : open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) {
        return push_failure(L);
    }
    lua_pushinteger(L, fd);
    return 1;
}

/// close(descriptor)
static int l_close(lua_State *L)
{
    close((int)luaL_checkinteger(L, 1));
    return 0;
}

/// deafen(descriptor). From now on a TCP socket takes no packet, and answers none: for its peer it
/// has vanished.
static int l_deafen(lua_State *L)
{
    struct sock_filter drop_all = BPF_STMT(BPF_RET | BPF_K, 0);
    struct sock_fprog program = {.len = 1, .filter = &drop_all};
    int fd = (int)luaL_checkinteger(L, 1);
    if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) != 0) {
        return push_failure(L);
    }
    lua_pushboolean(L, 1);
    return 1;
}

static int open_socket(const char *name, int type)
{
    int fd = socket(*name == '\0' ? AF_INET : AF_UNIX, type | SOCK_CLOEXEC, 0);
    if (fd >= 0 && bind_to(fd, name) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static int bind_to(int fd, const char *name)
{
    struct sockaddr_in internet = {.sin_family = AF_INET};
    struct sockaddr_un local = {.sun_family = AF_UNIX};
    size_t len = strlen(name);
    if (len == 0) {
        internet.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        return bind(fd, (struct sockaddr *)&internet, sizeof(internet));
    }
    if (len >= sizeof(local.sun_path)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(local.sun_path, name, len);
    local.sun_path[0] = *name == '@' ? '\0' : *name;
    return bind(fd, (struct sockaddr *)&local,
                (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len));
}

static void check_sockets(lua_State *L, struct command *command)
{
    if (lua_getfield(L, 1, "sockets") == LUA_TNIL) {
        return;
    }
    lua_Integer count = luaL_len(L, -1);
    luaL_argcheck(L, count <= SOCKETS_MAX, 1, "too many sockets");
    for (lua_Integer i = 0; i < count; i++) {
        lua_geti(L, -1, i + 1);
        command->sockets[i] = (int)luaL_checkinteger(L, -1);
        lua_pop(L, 1);
    }
    command->socket_count = (int)count;
}

/// The strings of the list `name` of the table at 1. The list stays on the stack and so do they.
static void check_words(lua_State *L, const char *name, const char **words)
{
    if (lua_getfield(L, 1, name) == LUA_TNIL) {
        return;
    }
    int list = lua_gettop(L);
    lua_Integer count = luaL_len(L, list);
    luaL_argcheck(L, count < WORDS_MAX, 1, "too many words");
    luaL_checkstack(L, (int)count + 8, "too many words");
    for (lua_Integer i = 0; i < count; i++) {
        lua_geti(L, list, i + 1);
        words[i] = luaL_checkstring(L, -1);
    }
}

/// The child's side: its descriptors, its folder, its environment, then the other program.
static _Noreturn void become(const struct command *command)
{
    static const int FLAGS[] = {O_RDONLY, O_WRONLY | O_CREAT | O_APPEND,
                                O_WRONLY | O_CREAT | O_APPEND};
    static const int SIGNALS[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM};
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (size_t i = 0; i < sizeof(SIGNALS) / sizeof(SIGNALS[0]); i++) {
        signal(SIGNALS[i], SIG_DFL); // ignored ones would be so for the program too, as under nohup
    }
    for (int i = 0; i < 3; i++) {
        int file = open(command->paths[i], FLAGS[i], 0600);
        if (file < 0 || dup2(file, i) < 0) {
            _exit(EXIT_NO_PROGRAM);
        }
    }
    pass_sockets(command);
    close_range(3 + (unsigned)command->socket_count, ~0U, 0);
    if (command->folder != NULL && chdir(command->folder) != 0) {
        _exit(EXIT_NO_PROGRAM);
    }
    for (const char *const *entry = command->environment; *entry != NULL; entry++) {
        putenv((char *)*entry);
    }
    execvp(command->words[0], (char *const *)command->words);
    _exit(EXIT_NO_PROGRAM);
}

/// First out of the way, because one may stand where another is to go.
static void pass_sockets(const struct command *command)
{
    static char pid_entry[32];
    static char count_entry[32];
    int moved[SOCKETS_MAX];
    if (command->socket_count == 0) {
        return;
    }
    for (int i = 0; i < command->socket_count; i++) {
        moved[i] = fcntl(command->sockets[i], F_DUPFD, 3 + SOCKETS_MAX);
    }
    for (int i = 0; i < command->socket_count; i++) {
        dup2(moved[i], 3 + i);
    }
    snprintf(pid_entry, sizeof(pid_entry), "LISTEN_PID=%d", (int)getpid());
    snprintf(count_entry, sizeof(count_entry), "LISTEN_FDS=%d", command->socket_count);
    putenv(pid_entry);
    putenv(count_entry);
}

static int push_failure(lua_State *L)
{
    int code = errno;
    lua_pushnil(L);
    lua_pushstring(L, strerror(code));
    lua_pushinteger(L, code);
    return 3;
}
