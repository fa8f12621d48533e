// SPDX-License-Identifier: MIT
//
// npm's `eventsource`, which keeps to the standard, as a judge: connects to a URL and prints each
// thing that happens as one line of JSON, until SIGTERM, `--events N` events, or `--fatal`: a
// connection that is given up.
//
//   node eventsource.mjs URL [--events N] [--types tick,done] [--header 'Name: value']
//     [--fatal] [--seconds N]
import { parseArgs } from 'node:util'
import { EventSource } from 'eventsource'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    events: { type: 'string' },
    types: { type: 'string', default: '' },
    header: { type: 'string', multiple: true, default: [] },
    seconds: { type: 'string', default: '30' },
    fatal: { type: 'boolean', default: false },
  },
})

const headers = Object.fromEntries(values.header.map((line) => line.split(/:\s*/, 2)))
const source = new EventSource(positionals[0], {
  fetch: (url, init) => fetch(url, { ...init, headers: { ...init.headers, ...headers } }),
})

let left = values.events === undefined ? Infinity : Number(values.events)

// Nothing here may outlive a test that forgot it.
setTimeout(() => process.exit(1), Number(values.seconds) * 1000).unref()

function print(record) {
  process.stdout.write(JSON.stringify(record) + '\n')
}

function onEvent(event) {
  print({ kind: 'event', type: event.type, data: event.data, lastEventId: event.lastEventId })
  left -= 1
  if (left <= 0) {
    source.close()
  }
}

source.addEventListener('open', () => print({ kind: 'open' }))
source.addEventListener('error', (event) => {
  const state = ['connecting', 'open', 'closed'][source.readyState]
  print({ kind: 'error', state, code: event.code, message: event.message })
  if (values.fatal && state === 'closed') {
    process.exit(0)
  }
})
for (const type of ['message', ...values.types.split(',').filter(Boolean)]) {
  source.addEventListener(type, onEvent)
}
process.on('SIGTERM', () => process.exit(0))
