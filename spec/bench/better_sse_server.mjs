// SPDX-License-Identifier: MIT
//
// What one writes with better-sse, a library for Node: a channel and its broadcast.
//
//   node better_sse_server.mjs PORT
import http from 'node:http'
import { text } from 'node:stream/consumers'
import { createChannel, createSession } from 'better-sse'

// Text as it is, where the default is JSON; and no heartbeats, as the other opponents.
const OPTIONS = { serializer: (data) => data, keepAlive: null }
const DATA = 'x'.repeat(64)
const room = createChannel()

function pour(session, response) {
  while (session.isConnected && !response.writableNeedDrain) {
    session.push(DATA)
  }
}

const routes = {
  async 'GET /events'(request, response) {
    room.register(await createSession(request, response, OPTIONS))
  },
  async 'POST /publish'(request, response) {
    room.broadcast(await text(request))
    response.writeHead(204).end()
  },
  async 'GET /first'(request, response) {
    const session = await createSession(request, response, OPTIONS)
    session.push(DATA)
  },
  async 'GET /firehose'(request, response) {
    const session = await createSession(request, response, OPTIONS)
    response.on('drain', () => setImmediate(pour, session, response))
    pour(session, response)
  },
  'GET /hello'(request, response) {
    response.end('hello\n')
  },
}

http.createServer((request, response) => {
  const route = routes[`${request.method} ${request.url}`]
  return route ? route(request, response) : response.writeHead(404).end()
}).listen(Number(process.argv[2]), '127.0.0.1')
