---@meta

---Text of HTML in which no value can be more than a value. docs/html.md explains templates.
---@class lunesse.html
local html = {}

---A value as text, in which `&`, `<`, `>`, `"` and `'` are written so that they mean themselves:
---for the content of elements and for attributes in quotes. It raises for nil, and for what has no
---text.
---
---```lua
---local line = "<p>" .. lunesse.html.escape(name) .. "</p>"
---```
---@param value any
---@return string text
function html.escape(value) end

---Reads a template, and returns a function that makes the page of a table of values. A value in
---`<%= %>` is written as its place needs: in a text, an attribute, a URL, a style or a script.
---`<%- %>` writes it as it is, and `<% %>` has lines of Lua. What could not be made safe raises
---here, with the template's line; so read templates while the script loads.
---
---```lua
---local hello = lunesse.html.template [[<p>hello <%= name %></p>]]
---response:type("text/html"):send(hello { name = name })
---```
---@param template string
---@param name? string  what messages call it, such as its file; default: the caller's file and line
---@return function render  takes the values and returns the text; raises at the template's line
function html.template(template, name) end
