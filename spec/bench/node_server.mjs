// SPDX-License-Identifier: MIT
//
// What one writes with Node's own `http`: a Set of responses, and one string per event to each.
//
//   node node_server.mjs PORT
import http from 'node:http'
import { text } from 'node:stream/consumers'

const HEAD = {
  'Content-Type': 'text/event-stream',
  'Cache-Control': 'no-cache, no-transform',
  'X-Accel-Buffering': 'no',
}
const EVENT = `data: ${'x'.repeat(64)}\n\n`
const readers = new Set()
let count = 0

function open(response) {
  response.writeHead(200, HEAD)
  response.write(':\n\n')
}

function pour(response) {
  while (!response.destroyed && response.write(EVENT)) {
    // until the socket is full
  }
}

const routes = {
  'GET /events'(request, response) {
    open(response)
    readers.add(response)
    response.on('close', () => readers.delete(response))
  },
  async 'POST /publish'(request, response) {
    const event = `id: ${++count}\ndata: ${await text(request)}\n\n`
    for (const reader of readers) {
      reader.write(event)
    }
    response.writeHead(204).end()
  },
  'GET /first'(request, response) {
    open(response)
    response.write(EVENT)
  },
  'GET /firehose'(request, response) {
    open(response)
    // While the reader keeps up, `drain` comes in the same turn, and nobody else would have theirs.
    response.on('drain', () => setImmediate(pour, response))
    pour(response)
  },
  'GET /hello'(request, response) {
    response.end('hello\n')
  },
}

http.createServer((request, response) => {
  const route = routes[`${request.method} ${request.url}`]
  return route ? route(request, response) : response.writeHead(404).end()
}).listen(Number(process.argv[2]), '127.0.0.1')
