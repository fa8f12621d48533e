-- A very small model of language: some sentences, and which of them speaks of a word first.
local sea = {}

local text = [[
The moon has no light of its own. It borrows the light of the sun and lends it to the night. The
night lends it to the sea, and the sea gives it back in pieces. Every wave is an event: it comes, it
is heard on the shore, and the next one is already on its way. The shore keeps no list of the waves,
it only listens. Whoever sleeps there misses a hundred of them and wakes with the tide. But the tide
remembers where the night began.
]]

local SENTENCES = 3 -- of an answer

local sentences, first_with = {}, {}
for sentence in text:gsub("%s+", " "):gmatch("%S[^.]*%.") do
  table.insert(sentences, sentence)
  for word in sentence:lower():gmatch("%a+") do
    first_with[word] = first_with[word] or #sentences
  end
end

-- The answer begins where the text speaks of the last word of the prompt that it knows.
function sea.answer(prompt)
  local first, answer = 1, {}
  for word in prompt:lower():gmatch("%a+") do
    first = first_with[word] or first
  end
  for i = first, first + SENTENCES - 1 do
    table.insert(answer, sentences[(i - 1) % #sentences + 1])
  end
  return table.concat(answer, " ")
end

-- The answer in pieces, as a model of language makes them: a word each, with the space after it.
function sea.tokens(prompt)
  return sea.answer(prompt):gmatch("%S+%s?")
end

return sea
