// SPDX-License-Identifier: MIT
//
// The official clients of language models as judges: npm's `openai`, `@anthropic-ai/sdk` and the
// transport of `ai`'s useChat, each unmodified. They read a streamed answer to its end, to its
// failure, or abort it after two pieces, and print what they saw as lines of JSON. Needs Node 22.
//
//   node models.mjs URL CLIENT PROMPT [--abort-after N] [--resume ID]
import { parseArgs } from 'node:util'
import OpenAI from 'openai'
import Anthropic from '@anthropic-ai/sdk'
import { DefaultChatTransport, readUIMessageStream } from 'ai'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { 'abort-after': { type: 'string' }, resume: { type: 'string' } },
})
const [url, which, prompt] = positionals
const pieces = Number(values['abort-after'] ?? Infinity)

// Nothing here may outlive a test that forgot it.
setTimeout(() => process.exit(1), 30_000).unref()

function print(record) {
  process.stdout.write(JSON.stringify(record) + '\n')
}

const messages = [{ role: 'user', content: prompt }]
const openai = () => new OpenAI({ apiKey: 'key', baseURL: `${url}/v1`, maxRetries: 0 })
const anthropic = () => new Anthropic({ apiKey: 'key', baseURL: url, maxRetries: 0 })

// Each is an async iterable of the text's pieces.
const clients = {
  async *'openai-chat'(signal) {
    const body = { model: 'moon', messages, stream: true }
    for await (const chunk of await openai().chat.completions.create(body, { signal })) {
      if (chunk.choices[0]?.finish_reason) {
        print({ kind: 'finish', reason: chunk.choices[0].finish_reason })
      }
      yield chunk.choices[0]?.delta?.content ?? ''
    }
  },
  async *'openai-responses'(signal) {
    const body = { model: 'moon', input: prompt, stream: true }
    for await (const event of await openai().responses.create(body, { signal })) {
      if (event.type === 'response.completed') {
        print({ kind: 'finish', reason: event.response.status })
      } else if (event.type === 'response.output_text.delta') {
        yield event.delta
      }
    }
  },
  async *anthropic(signal) {
    const body = { model: 'moon', max_tokens: 100, messages }
    const stream = anthropic().messages.stream(body, { signal })
    for await (const event of stream) {
      if (event.type === 'content_block_delta') {
        yield event.delta.text
      }
    }
    print({ kind: 'finish', reason: (await stream.finalMessage()).stop_reason })
  },
  async *'openai-whole'(signal) {
    const body = { model: 'moon', messages }
    const { choices: [choice] } = await openai().chat.completions.create(body, { signal })
    print({ kind: 'finish', reason: choice.finish_reason })
    yield choice.message.content
  },
  async *'anthropic-whole'(signal) {
    const body = { model: 'moon', max_tokens: 100, messages }
    const options = { signal, query: { beta: true } }
    const message = await anthropic().messages.create(body, options)
    print({ kind: 'finish', reason: message.stop_reason })
    yield message.content[0].text
  },
  async *ai(signal) {
    const transport = new DefaultChatTransport({ api: `${url}/api/chat` })
    const user = { id: 'm1', role: 'user', parts: [{ type: 'text', text: prompt }] }
    const stream = values.resume !== undefined
      ? await transport.reconnectToStream({ chatId: values.resume })
      : await transport.sendMessages({
          trigger: 'submit-message', chatId: 'chat-1', messages: [user], abortSignal: signal,
        })
    if (stream === null) {
      print({ kind: 'nothing' })
      return
    }
    let seen = 0
    let failure
    const snapshots = readUIMessageStream({ stream, onError: (error) => { failure = error } })
    for await (const message of snapshots) {
      const text = message.parts.filter((part) => part.type === 'text').map((part) => part.text)
      yield text.join('').slice(seen)
      seen = text.join('').length
      if (message.parts.some((part) => part.state === 'done')) {
        print({ kind: 'finish', reason: 'done' })
      }
    }
    if (failure) {
      throw failure
    }
  },
}

const stop = new AbortController()
let text = ''
let count = 0
try {
  for await (const piece of clients[which](stop.signal)) {
    text += piece
    if (piece !== '') {
      count += 1
      print({ kind: 'piece' })
    }
    if (count === pieces) {
      stop.abort()
    }
  }
  print({ kind: 'end', text })
} catch (error) {
  print({ kind: 'failure', name: error.constructor.name, message: String(error.message), text,
    status: error.status ?? null })
}
