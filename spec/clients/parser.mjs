// SPDX-License-Identifier: MIT
//
// npm's `eventsource-parser` over fetch as a judge: reads one response to its end and prints its
// head, each event, comment and retry field, and the end, as lines of JSON.
//
//   node parser.mjs URL [--method POST] [--body TEXT] [--header 'Name: value']
//     [--events N] [--seconds N]
import { parseArgs } from 'node:util'
import { createParser } from 'eventsource-parser'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    method: { type: 'string', default: 'GET' },
    body: { type: 'string' },
    header: { type: 'string', multiple: true, default: [] },
    seconds: { type: 'string', default: '30' },
    events: { type: 'string' },
  },
})

const stop = new AbortController()
let left = values.events === undefined ? Infinity : Number(values.events)

// Nothing here may outlive a test that forgot it.
setTimeout(() => process.exit(1), Number(values.seconds) * 1000).unref()

function print(record) {
  process.stdout.write(JSON.stringify(record) + '\n')
}

const parser = createParser({
  onEvent: (event) => {
    print({ kind: 'event', type: event.event ?? 'message', data: event.data, id: event.id ?? null })
    left -= 1
  },
  onComment: (comment) => print({ kind: 'comment', text: comment }),
  onRetry: (retry) => print({ kind: 'retry', ms: retry }),
  onError: (error) => print({ kind: 'parse-error', type: error.type, message: error.message }),
})

const response = await fetch(positionals[0], {
  method: values.method,
  body: values.body,
  signal: stop.signal,
  headers: [
    ['Accept', 'text/event-stream'],
    ...values.header.map((line) => line.split(/:\s*/, 2)),
  ],
})
print({ kind: 'head', status: response.status, headers: Object.fromEntries(response.headers) })

const decoder = new TextDecoder()
try {
  for await (const bytes of response.body) {
    parser.feed(decoder.decode(bytes, { stream: true }))
    if (left <= 0) {
      break
    }
  }
  print({ kind: 'end' })
} catch (error) {
  print({ kind: 'cut', message: String(error.cause ?? error) })
}
stop.abort()
