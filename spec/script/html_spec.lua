-- lunesse.html: what values become, by what stands around them; what is refused when a template is
-- read; where mistakes are said to be. At the end a browser judges.

local apps = require "spec.support.app"
local cjson = require "cjson"
local support = require "spec.sse.support"
local Client = require "spec.support.client"

-- What the templates of the cases are given beside `v`.
local APP = [[
local html = lunesse.html
server:post("/render", function(request, response)
  local case = request:json()
  local ok, text = pcall(function()
    return html.template(case.template, case.name or "page.html")(case)
  end)
  response:json { ok = ok, text = text }
end)
server:post("/escape", function(request, response)
  response:send(html.escape(request:text()))
end)
]]

local app

local function render(template, value, more)
  local case = more or {}
  case.template, case.v = template, value
  local answer = app:post("/render", { body = cjson.encode(case) }):json()
  return answer.text, answer.ok
end

---The text that `template` makes with `value` is `expected`.
local function expect(expected, template, value, more)
  local text, ok = render(template, value, more)
  assert(ok, text)
  assert.equal(expected, text)
end

---The template is not read, or the value not written, for this reason.
local function refuse(reason, template, value)
  local text, ok = render(template, value)
  assert.is_false(ok, text)
  assert.truthy(text:find(reason, 1, true), ("%s\n%s\n%s"):format(template, reason, text))
end

local HOSTILE = "</script><script>pwned()</script>\"'><img src=x onerror=pwned()><!--" ..
  "&amp;`${pwned()}"

describe("html.escape", function()
  it("leaves nothing that ends a text or a quoted attribute", function()
    app = apps.start(APP)
    assert.equal("&lt;a href=&quot;x&quot;&gt; &amp;amp; &#39;", app:post("/escape", {
      body = "<a href=\"x\"> &amp; '",
    }):text())
  end)

  it("takes numbers, booleans and what has a text, and raises for the rest", function()
    local own = apps.start [[
local escape = lunesse.html.escape
server:get("/", function(_, response)
  local named = setmetatable({}, { __tostring = function() return "<b>" end })
  response:send(table.concat({ escape(1.5), escape(true), escape(named),
    select(2, pcall(function() return (escape(nil)) end)),
    select(2, pcall(function() return (escape({})) end)) }, "\n"))
end)
]]
    assert.equal("1.5\ntrue\n&lt;b&gt;\nscript.lua:5: escape: the value is nil\n" ..
      "script.lua:6: escape: the value is a table",
      (own:get("/"):text():gsub("/[^\n]*/script", "script")))
  end)
end)

describe("a value of a template", function()
  before_each(function()
    app = apps.start(APP)
  end)

  it("is escaped in a text and in a quoted attribute", function()
    local escaped = HOSTILE:gsub("[&<>\"']", {
      ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;", ["'"] = "&#39;",
    })
    for before, after in pairs {
      ["<p>"] = "</p>", ["<p title=\""] = "\">", ["<p title='"] = "'>", ["<p\ntitle = \""] = "\"/>",
      ["<title>"] = "</title>", ["<textarea>a"] = "</TEXTAREA>", ["a < b "] = "",
      ["<!-- a --><P>"] = "",
      ["<!doctype html>"] = "", ["<div data-v='x "] = "y'>", ["<script></script>"] = "",
      ["<style></style >"] = "", ["<!-->"] = "", ["<script>a</scripty></script>"] = "",
    } do
      expect(before .. escaped .. after, before .. "<%= v %>" .. after, HOSTILE)
    end
  end)

  it("is written as it is behind <%-, everywhere", function()
    for _, place in ipairs { "<p>%s", "<p %s>", "<p title='%s'>", "<script>%s</script>",
      "<style>%s</style>", "<a href='%s'>", "<a onclick='%s'>", "<script src='%s'></script>" } do
      expect(place:format("<b>"), place:format("<%- v %>"), "<b>")
    end
  end)

  it("is JSON in a script, in which no byte ends anything", function()
    expect("<script>f(" .. [["\u003c\u002fscript\u003e\u003c!--\u0022\u0027]] ..
      [[\\\n\u0060\u0024{}\u0026"]] .. ")</script>",
      "<script>f(<%= v %>)</script>", "</script><!--\"'\\\n`${}&")
    expect([[<script>f("\u2028\u2029é")</script>]], "<script>f(<%= v %>)</script>",
      "\u{2028}\u{2029}é")
    expect([[<script>f({"a":["\u003c",1,true,null]})</script>]], "<script>f(<%= v %>)</script>",
      { a = { "<", 1, true, cjson.null } })
    expect([[<script>f(7) / 2</script>]], "<script>f(<%= v %>) / 2</script>", 7)
    expect([[<script type="application/json">{"\u003ca":1}</script>]],
      "<script type=\"application/json\"><%= v %></script>", { ["<a"] = 1 })
    local own = apps.start [[
local page = lunesse.html.template "<script><%= v %></script>"
server:get("/", function(_, response) response:send(page { v = "a\xff\xfeb\xc3" }) end)
]]
    assert.equal("<script>\"a\u{fffd}\u{fffd}b\u{fffd}\"</script>", own:get("/"):text())
  end)

  it("comes where a script has an expression, and into no string, comment or pattern", function()
    for _, before in ipairs {
      "x = ", "x = 'a', y = ", "x = \"\\\"\", y = ", "// it's\nx = ", "/* ' */ x = ",
      "x = /'/, y = ",
      "x = /[/']/g.test(y), z = ", "x = a / b / ", "f(a) / 2 + ", "x = `a ${b} '`, y = ",
      "x = a[1] / ", "return /\"/, ", "x = /\\/'/, y = ", "x = a++ / ",
    } do
      expect("<script>" .. before .. "1</script>", "<script>" .. before .. "<%= v %></script>", 1)
    end
    for _, before in ipairs {
      "x = '", "x = \"", "x = \"\\\"", "x = `", "x = `${b}", "x = 'a' + \"",
    } do
      refuse("a value stands in a string of the script",
        "<script>" .. before .. "<%= v %></script>", 1)
    end
    refuse("a value stands in a comment", "<script>// <%= v %>\n</script>", 1)
    refuse("a value stands in a comment", "<script>/* <%= v %>*/</script>", 1)
    local why = "a value stands in a regular expression"
    refuse(why, "<script>x = /a<%= v %>/</script>", 1)
    refuse(why, "<script>x = /['\"]<%= v %>/</script>", 1)
  end)

  it("is refused where what a script says cannot be told for sure", function()
    local why = "may be a division or begin a regular"
    refuse(why, "<script>if (a) { b } /'/.test(<%= v %>)</script>", 1)
    refuse(why, "<script>x = <% if v then %>1<% end %>/'/</script>", 1)
    refuse("this '${' is too involved", "<script>x = `${\"`\"}`; y = <%= v %></script>", 1)
    refuse("a string of the script does not end", "<script>x = 'a\n'; y = <%= v %></script>", 1)
    refuse("a regular expression of the script does not end",
      "<script>x = /a\n<%= v %></script>", 1)
    refuse("a script has no '<!--'", "<script><!-- x\n y = <%= v %></script>", 1)
    refuse("a '/' stands in front", "<script>x = a /<%= v %>/</script>", 1)
  end)

  it("is in a URL what its place needs", function()
    expect("<a href=\"https://x/?a=1&amp;b=2\">", "<a href=\"<%= v %>\">", "https://x/?a=1&b=2")
    expect("<a href='/u/a%20b/c%3Fd%23%25'>", "<a href='/u/<%= v %>'>", "a b/c?d#%")
    expect("<a href='/?q=a%26b%3D%2F%27'>", "<a href='/?q=<%= v %>'>", "a&b=/'")
    expect("<a href='#a%20b'>", "<a href='#<%= v %>'>", "a b")
    expect("<a href='mailto:a@b?subject=x%20y'>", "<a href='mailto:a@b?subject=<%= v %>'>", "x y")
    expect("<img src='./img%3F.png'>", "<img src='./<%= v %>.png'>", "img?")
    expect("<a href='/%2Fevil.com'>", "<a href='/<%= v %>'>", "/evil.com")
    expect("<a href='/%5Cevil.com'>", "<a href='/<%= v %>'>", "\\evil.com")
    expect("<a href='https://evil.com%2F%40.example.com/'>",
      "<a href='https://<%= v %>.example.com/'>", "evil.com/@")
    expect("<form action='/x?y=1'>", "<form action='<%= v %>?y=<%= n %>'>", "/x", { n = 1 })
  end)

  it("begins no URL with a scheme that runs code", function()
    for _, attribute in ipairs { "a href", "form action", "button formaction", "iframe src",
      "img src", "svg xlink:href", "use HREF", "video poster", "animate to" } do
      for _, url in ipairs { "javascript:pwned()", " JavaScript:pwned()", "java\nscript:pwned()",
        "\1javascript:pwned()", "\tjava\tscr\ript:pwned()", "data:text/html,x", "vbscript:x",
        "javascript&colon;pwned():", "x:y" } do
        local behind = "\"></" .. attribute:match("%l+") .. ">"
        expect("<" .. attribute .. "=\"about:invalid#blocked" .. behind,
          "<" .. attribute .. "=\"<%= v %>" .. behind, url)
      end
    end
    for _, url in ipairs {
      "/a:b", "?a:b", "#a:b", "HTTPS://x", "mailto:x", "a/b:c", "//x:80", "",
    } do
      expect("<a href=\"" .. url .. "\">", "<a href=\"<%= v %>\">", url)
    end
  end)

  it("is refused in a URL where it could be of the scheme, or choose whose code runs", function()
    for _, place in ipairs { "java<%= v %>", "<%= v %><%= v %>", "a.<%= v %>",
      "<% for i = 1, 2 do %><%= v %><% end %>", "<% if v then %>/<% end %><%= v %>",
      "<% if v then %><%= v %><% end %><%= v %>" } do
      refuse("a value stands where a URL may still have its scheme",
        "<a href='" .. place .. "'>", "x")
    end
    for _, place in ipairs { "javascript:<%= v %>", "data:<%= v %>", "&#106;avascript:<%= v %>",
      " javascript:/<%= v %>", "JAVASCRIPT:x?<%= v %>" } do
      refuse("a value stands in a URL that is none of the web", "<a href='" .. place .. "'>", "x")
    end
    refuse("a value may be the scheme of a URL", "<a href='<%= v %>:x'>", "x")
    for _, place in ipairs { "<script src='<%= v %>'>", "<script src='//<%= v %>/x'>",
      "<script src='https:<%= v %>'>", "<script src='https://a.<%= v %>'>",
      "<base href='<%= v %>'>",
      "<embed src='<%= v %>'>", "<object data='<%= v %>'>" } do
      refuse("which runs what is there", place, "x")
    end
    expect("<script src='/%2Fx/a.js'></script>", "<script src='/<%= v %>/a.js'></script>", "/x")
  end)

  it("is a word or a number in a style", function()
    expect("<p style='width: 12.5%'>", "<p style='width: <%= v %>%'>", 12.5)
    expect("<style>p { color: #ff00aa }</style>", "<style>p { color: <%= v %> }</style>", "#ff00aa")
    for _, value in ipairs { "red;position:fixed", "url(//x)", "}", "</style>", "\\75", "/**/" } do
      expect("<style>p { color: invalid }</style>", "<style>p { color: <%= v %> }</style>", value)
      expect("<p style=\"color: invalid\">", "<p style=\"color: <%= v %>\">", value)
    end
  end)

  it("is refused where nothing could make it safe", function()
    for template, reason in pairs {
      ["<p title=<%= v %>>"] = "a value stands behind a '<' or '='",
      ["<p title=a<%= v %>>"] = "a value stands in a tag and not inside of quotes",
      ["<p <%= v %>>"] = "a value stands in a tag", ["<<%= v %>>"] = "a value stands behind a '<'",
      ["</<%= v %>>"] = "a value stands behind a '<'", ["<p<%= v %>>"] = "a value stands in a tag",
      ["<p \"<%= v %>\">"] = "a value stands in a tag",
      ["<!-- <%= v %> -->"] = "a value stands in a comment",
      ["<!doctype <%= v %>>"] = "a value stands in a <!...>",
      ["<p onclick='<%= v %>'>"] = "a value stands in onclick",
      ["<p ONCLICK='f(<%= v %>)'>"] = "a value stands in onclick",
      ["<p hx-on:click='f(<%= v %>)'>"] = "a value stands in hx-on:click",
      ["<p data-on-click='f(<%= v %>)'>"] = "a value stands in data-on-click",
      ["<p @click='f(<%= v %>)'>"] = "a value stands in @click",
      ["<iframe srcdoc='<%= v %>'>"] = "a value stands in srcdoc",
      ["<xmp><%= v %></xmp>"] = "a value stands in a <xmp>",
      ["<title></ti<%= v %></title>"] = "a value stands behind '</ti'",
      ["<title><a href='<%= v %>'></title>"] = "a <title> has no elements inside",
    } do
      refuse("page.html:1: " .. reason, template, "x")
    end
  end)
end)

describe("the Lua of a template", function()
  before_each(function()
    app = apps.start(APP)
  end)

  it("loops, branches and sets names, which are the template's own", function()
    expect("<ul>\n<li class=\"odd\">a</li><li>b</li></ul>\n", [[
<ul>
<% local n = 0 -%>
<% for _, item in ipairs(v) do n = n + 1 -- counts -%>
<li<% if n % 2 == 1 then %> class="odd"<% end %>><%= item %></li><% end %></ul>
]], { "a", "b" })
    expect("1 2 x", "<% y = 2 %><%= v %> <%= y %> <%- ('x'):rep(1) %>", 1)
    expect("&lt;%&gt;", "<%= '<%' .. '>' %>", 1)
    assert.equal("nil", (apps.start [[
local page = lunesse.html.template "<% leaked = 1 %><%= leaked %>"
server:get("/", function(_, response) page() response:send(tostring(leaked)) end)
]]):get("/"):text())
  end)

  it("begins and ends each block in the same place", function()
    for _, template in ipairs {
      "<% if v then %><p title='<% end %>'>", "<% for i = 1, 2 do %><p <% end %>>",
      "<% if v then %>a<% else %><script><% end %></script>",
      "<script><% if v then %>x = '<% end %>'</script>",
      "<% repeat %><p title='<% until true %>'>",
      "<% for i = 1, 2 do %><p title='<% if i == 1 then break end %>'><% end %>",
    } do
      refuse("a block begins in", template, 1)
    end
    refuse("a name or value of a tag is put together", "<p ti<% if v then %>tle='x'<% end %>>", 1)
    refuse("a name or value of a tag is put together", "<p title <% if v then %>='x'<% end %>>", 1)
    refuse("Lua stands behind a '<' or '='", "<p title=<% if v then %>'x'<% end %>>", 1)
    refuse("Lua stands behind '</scr'", "<script></scr<% if v then %><% end %>ipt></script>", 1)
    refuse("the template ends in 'value p title '", "<p title='", 1)
    refuse("a function has text of the template", "<% local function f() %>x<% end %>", 1)
  end)

  it("says file and line of a mistake, when it is read and when it runs", function()
    for template, message in pairs {
      ["a\n<%= v"] = "page.html:2: '<%' has no '%>'",
      ["a\n\n<%= v + %>"] = "page.html:3: what stands between '<%=' and '%>' is no expression",
      ["a\n<% if %>"] = "page.html:2: ",
      ["a\n<% for i = 1, 2 do -%>\n<%= i %>"] = "page.html:3: 'end'",
      ["<p>\n<p\n\ntitle='x'\n<%= v %>>"] = "page.html:5: a value stands in a tag",
      ["<script>\n\nx = 'a\n'</script>"] = "page.html:3: a string of the script does not end",
      ["a\n<%= nothing %>"] = "page.html:2: the value is nil",
      ["a\n<% -- a\n-- b -%>\n<%= {} %>"] = "page.html:4: the value is a table",
      ["a\n\n<% error('oops') %>"] = "page.html:3: oops",
      ["<script>\n<%= print %></script>"] = "page.html:2: ",
    } do
      local text, ok = render(template, 1)
      assert.is_false(ok, template)
      assert.equal(message, text:sub(1, #message), template)
    end
  end)

  it("is called by the script's file and line when it has no name", function()
    local own = apps.start [[
local page = lunesse.html.template "\n<%= nothing %>"
server:get("/", function(_, response)
  response:send(select(2, pcall(page)) .. "\n" .. select(2, pcall(lunesse.html.template, 7)))
end)
]]
    local text = own:get("/"):text()
    assert.matches("^[^\n]*template%([^\n]*script.lua:1%):2: the value is nil\n", text)
    assert.matches("template takes a text, got number$", text)
  end)

  it("may wait, and two runs of one template do not meet", function()
    local own = apps.start [[
local page = lunesse.html.template [=[<p><%= name %> <% lunesse.sleep(1) %><%= name %></p>]=]
server:get("/:name", function(request, response)
  response:send(page { name = request.params.name, lunesse = lunesse })
end)
]]
    local one, two = own:send("GET", "/a"), own:send("GET", "/b")
    own:advance(2)
    assert.equal("<p>a a</p>", one:text())
    assert.equal("<p>b b</p>", two:text())
  end)
end)

describe("a page of hostile values, in a browser,", function()
  it("shows them, and runs none", function()
    local server = support.start [==[
local HOSTILE = {
  "</script><script>pwned = 1</script>", "\"'><img src=x onerror=pwned=1>", "<!--", "-->",
  "javascript:pwned=1", "java\nscript:pwned=1", "' onmouseover='pwned=1", "${pwned=1}`",
  "\\u0022;pwned=1//", "</textarea></title><svg onload=pwned=1>", "&lt;&#106;", "\u{2028}pwned=1",
  "</style><script>pwned=1</script>", "'-pwned++-'", "\");pwned=1;(\"", "<!--<script>",
}
local page = lunesse.html.template([[
<!doctype html>
<meta charset="utf-8">
<title><%= table.concat(list, " ") %></title>
<script>window.pwned = 0; window.all = <%= list %>; window.each = []; const q = /["']/</script>
<% for i, text in ipairs(list) do -%>
<p title="<%= text %>" data-v='<%= text %>' style="color: <%= text %>"><%= text %></p>
<textarea><%= text %></textarea>
<a href="<%= text %>">a</a>
<a class="b" href="/<%= text %>?<%= text %>=<%= text %>#<%= text %>">b</a>
<script>window.each.push(<%= text %>); // it's "one"
</script>
<style>p { color: <%= text %> }</style>
<% end -%>
]], "page.html")
server:get("/", function(_, response)
  response:type("text/html; charset=utf-8"):send(page { list = HOSTILE })
end)
server:get("/list", function(_, response) response:json(HOSTILE) end)
]==]
    local result = Client.browse(server.url .. "/", [[
      const all = (selector) => [...document.querySelectorAll(selector)]
      for (const a of all('a')) {
        a.addEventListener('click', (event) => {
          if (a.protocol !== 'javascript:') event.preventDefault()
        })
        a.click()
      }
      for (const p of all('p')) p.dispatchEvent(new MouseEvent('mouseover'))
      await new Promise((resolve) => setTimeout(resolve, 200))
      const list = await (await fetch('/list')).json()
      const are = (values) => JSON.stringify(values) === JSON.stringify(list)
      const is_safe = (a) => a.href === 'about:invalid#blocked' ||
        a.protocol === 'http:' && a.host === location.host
      const query = (a) => [...new URL(a.href).searchParams][0]
      return {
        pwned: window.pwned, scripts: document.scripts.length, images: document.images.length,
        count: list.length, all: are(window.all), each: are(window.each),
        texts: are(all('p').map((p) => p.textContent)), titles: are(all('p').map((p) => p.title)),
        data: are(all('p').map((p) => p.dataset.v)),
        areas: are(all('textarea').map((area) => area.value)), links: all('a').every(is_safe),
        names: are(all('a.b').map((a) => query(a)[0])),
        values: are(all('a.b').map((a) => query(a)[1])),
      }
    ]])
    assert.same({
      pwned = 0, scripts = result.count + 1, images = 0, count = result.count, all = true,
      each = true, texts = true, titles = true, data = true, areas = true, links = true,
      names = true, values = true,
    }, result)
  end)
end)
