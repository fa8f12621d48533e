// SPDX-License-Identifier: MIT
#include "unit.h"

#include "files/beneath.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/// A folder with a file, a folder with a file, and links inside and out.
struct tree {
    char root[64];
};

static void plant(struct tree *tree)
{
    *tree = (struct tree){.root = "/tmp/beneath-XXXXXX"};
    EXPECT(mkdtemp(tree->root) != NULL);
    int root = open(tree->root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    EXPECT(root >= 0 && mkdirat(root, "in", 0700) == 0);
    close(openat(root, "file", O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    close(openat(root, "in/file", O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    EXPECT(symlinkat("/etc/passwd", root, "absolute") == 0);
    EXPECT(symlinkat("../../etc/passwd", root, "in/up") == 0);
    EXPECT(symlinkat("..", root, "in/back") == 0);
    EXPECT(symlinkat("in/file", root, "inside") == 0);
    EXPECT(symlinkat("/etc", root, "folder") == 0);
    close(root);
}

static void fell(const struct tree *tree)
{
    char command[100];
    (void)snprintf(command, sizeof(command), "rm -r '%s'", tree->root);
    EXPECT_INT(system(command), 0);
}

/// 0 for a file that was found; otherwise why it was not.
static int found(int file)
{
    if (file < 0) {
        return file;
    }
    close(file);
    return 0;
}

TEST(no_path_and_no_link_leads_out_of_a_folder)
{
    struct tree tree;
    plant(&tree);
    EXPECT_INT(found(beneath_find(tree.root, "file")), 0);
    EXPECT_INT(found(beneath_find(tree.root, "in/file")), 0);
    EXPECT_INT(found(beneath_find(tree.root, "inside")), 0);
    EXPECT_INT(found(beneath_find(tree.root, "in/back/file")), 0);
    EXPECT_INT(found(beneath_find(tree.root, "missing")), -ENOENT);
    EXPECT_INT(found(beneath_find(tree.root, "file/x")), -ENOTDIR);
    EXPECT_INT(found(beneath_find(tree.root, "absolute")), -EXDEV);
    EXPECT_INT(found(beneath_find(tree.root, "in/up")), -EXDEV);
    EXPECT_INT(found(beneath_find(tree.root, "folder/passwd")), -EXDEV);
    EXPECT_INT(found(beneath_find(tree.root, "../file")), -EXDEV);
    EXPECT_INT(found(beneath_find(tree.root, "in/../../file")), -EXDEV);
    EXPECT_INT(found(beneath_find(tree.root, "/etc/passwd")), -EXDEV);
    EXPECT_INT(found(beneath_find("/tmp/there-is-no-such-folder", "file")), -ENOENT);
    EXPECT_INT(found(beneath_find(NULL, "/etc/passwd")), 0);
    fell(&tree);
}

TEST(where_openat2_is_missing_no_link_is_followed)
{
    struct tree tree;
    plant(&tree);
    EXPECT_INT(found(beneath_find_by_steps(tree.root, "file")), 0);
    EXPECT_INT(found(beneath_find_by_steps(tree.root, "in/file")), 0);
    EXPECT_INT(found(beneath_find_by_steps(tree.root, "in//file")), 0);
    EXPECT_INT(found(beneath_find_by_steps(tree.root, ".")), 0);
    EXPECT_INT(found(beneath_find_by_steps(tree.root, "in/")), 0);
    EXPECT_INT(found(beneath_find_by_steps(tree.root, "missing")), -ENOENT);
    EXPECT_INT(found(beneath_find_by_steps(tree.root, "file/")), -ENOTDIR);
    EXPECT_INT(found(beneath_find_by_steps(tree.root, "file/x")), -ENOTDIR);
    EXPECT_INT(found(beneath_find_by_steps(tree.root, "inside")), -ELOOP);
    EXPECT_INT(found(beneath_find_by_steps(tree.root, "absolute")), -ELOOP);
    EXPECT_INT(found(beneath_find_by_steps(tree.root, "in/up")), -ELOOP);
    EXPECT_INT(found(beneath_find_by_steps(tree.root, "in/back/file")), -ENOTDIR);
    EXPECT_INT(found(beneath_find_by_steps(tree.root, "folder/passwd")), -ENOTDIR);
    EXPECT_INT(found(beneath_find_by_steps(tree.root, "../file")), -EXDEV);
    EXPECT_INT(found(beneath_find_by_steps(tree.root, "in/../../file")), -EXDEV);
    EXPECT_INT(found(beneath_find_by_steps(tree.root, "/etc/passwd")), -EXDEV);
    char name[300] = {0};
    memset(name, 'a', sizeof(name) - 1);
    EXPECT_INT(found(beneath_find_by_steps(tree.root, name)), -ENAMETOOLONG);
    fell(&tree);
}
