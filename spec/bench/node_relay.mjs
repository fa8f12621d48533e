// SPDX-License-Identifier: MIT
//
// A relay of event streams as one writes it in Node: each request asks the other server by undici,
// and the bytes that come are written as they are.
//
//   node node_relay.mjs PORT UPSTREAM_PORT
import http from 'node:http'
import { Pool } from 'undici'

const [port, upstream] = process.argv.slice(2).map(Number)
const pool = new Pool(`http://127.0.0.1:${upstream}`, { bodyTimeout: 0 })

http.createServer(async (request, response) => {
  const stop = new AbortController()
  response.on('close', () => stop.abort())
  try {
    const options = { path: request.url, method: 'GET', signal: stop.signal }
    const answer = await pool.request(options)
    response.writeHead(answer.statusCode, { 'Content-Type': answer.headers['content-type'] })
    response.flushHeaders()
    answer.body.on('error', () => response.destroy()).pipe(response)
  } catch {
    response.destroy()
  }
}).listen(port, '127.0.0.1')
