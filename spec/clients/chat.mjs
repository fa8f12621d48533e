// SPDX-License-Identifier: MIT
//
// Two windows of scripts/chat.html in headless Chromium, side by side in one room, and a bad
// network. The pages come through a small proxy; when both have talked, all its connections are
// destroyed and its port stays closed for a while, during which the room goes on being talked in
// through the server's own port; and then once more, while more is said than the room keeps. Prints
// one line of JSON for each thing that was seen.
//
//   node chat.mjs PORT ROOM [--readers N] [--cut-seconds N] [--screenshots PREFIX] [--seconds N]
//
// `--readers` is how many are in the room with these two windows, themselves included.
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { chromium } from 'playwright-core'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    'readers': { type: 'string', default: '2' },
    'cut-seconds': { type: 'string', default: '10' },
    screenshots: { type: 'string' },
    seconds: { type: 'string', default: '60' },
  },
})
const [serverPort, room] = positionals
const cutMs = Number(values['cut-seconds']) * 1000
const PACE_MS = 100 // between two messages of the cut
const FLOOD = 510 // more than a room keeps

function print(record) {
  process.stdout.write(JSON.stringify(record) + '\n')
}

// What stands between the pages and the server, and can be torn down and set up again.
const proxy = {
  port: 0,
  sockets: new Set(),

  open() {
    this.server = createServer((near) => {
      const far = connect(Number(serverPort), '127.0.0.1')
      for (const [one, other] of [[near, far], [far, near]]) {
        this.sockets.add(one)
        one.on('error', () => {})
        one.on('close', () => {
          this.sockets.delete(one)
          other.destroy()
        })
        one.pipe(other)
      }
    })
    return new Promise((resolve, reject) => {
      this.server.on('error', reject)
      this.server.listen(this.port, '127.0.0.1', () => {
        this.port = this.server.address().port
        resolve()
      })
    })
  },

  close() {
    const closed = new Promise((resolve) => this.server.close(resolve))
    for (const socket of this.sockets) socket.destroy()
    return closed
  },
}

// One window, used as a person does: by its keyboard.
class Window {
  static async open(context, name) {
    const page = await context.newPage()
    page.on('console', (message) => print({ kind: 'console', name, text: message.text() }))
    page.on('pageerror', (error) => print({ kind: 'page-error', name, message: String(error) }))
    await page.goto(`http://127.0.0.1:${proxy.port}/chat?room=${room}`)
    const self = new Window()
    Object.assign(self, { page, name })
    await self.page.getByLabel('Your name').fill(name)
    await self.until(() => document.querySelector('#state').dataset.state === 'open')
    return self
  }

  until(check, argument) {
    return this.page.waitForFunction(check, argument, { timeout: 0 })
  }

  async say(text) {
    await this.page.getByLabel('Message', { exact: true }).fill(text)
    await this.page.keyboard.press('Enter')
  }

  shows(text) {
    return this.until((wanted) =>
      [...document.querySelectorAll('#messages .text')].some((one) => one.textContent === wanted),
    text)
  }

  // What a person sees of it, and the ids.
  look() {
    return this.page.evaluate(() => ({
      messages: [...document.querySelectorAll('#messages li[data-id]')].map((line) => [
        line.dataset.id, line.querySelector('bdi').textContent,
        line.querySelector('.text').textContent,
      ]),
      notes: [...document.querySelectorAll('#messages .note')].map((line) => line.textContent),
      state: document.querySelector('#state').textContent,
      presence: document.querySelector('#presence').textContent,
      hint: document.querySelector('#hint').textContent,
      draft: document.querySelector('#text').value,
    }))
  }

  async shoot(name, options, size) {
    await this.page.emulateMedia(options)
    await this.page.setViewportSize(size)
    await this.page.screenshot({ path: `${values.screenshots}-${name}.png` })
  }
}

async function both(windows, act) {
  await Promise.all(windows.map(act))
}

async function publish(text) {
  const response = await fetch(`http://127.0.0.1:${serverPort}/chat/${room}`, {
    method: 'POST',
    body: JSON.stringify({ name: 'Cleo', text }),
  })
  return { text, status: response.status, id: (await response.json()).id }
}

async function lose(windows) {
  await proxy.close()
  await both(windows, (one) => one.until(() =>
    document.querySelector('#state').dataset.state !== 'open'))
}

// The first cut: what is said meanwhile by others, and what one of the windows tries to say.
async function cut(windows) {
  await lose(windows)
  await windows[0].say('said into the void')
  await windows[0].until(() => document.querySelector('#hint').dataset.kind === 'fault')
  const end = Date.now() + cutMs
  for (let count = 1; Date.now() < end; count += 1) {
    print({ kind: 'published', ...(await publish(`missed ${count}`)) })
    await new Promise((resolve) => setTimeout(resolve, PACE_MS))
  }
  print({ kind: 'cut', ...(await windows[0].look()) })
  await proxy.open()
}

// The second: the windows cannot be given all that they missed.
async function flood(windows) {
  await lose(windows)
  for (let count = 1; count <= FLOOD; count += 1) await publish(`flood ${count}`)
  await proxy.open()
  await both(windows, (one) => one.shows(`flood ${FLOOD}`))
  for (const one of windows) print({ kind: 'flooded', name: one.name, ...(await one.look()) })
}

async function run(context) {
  await proxy.open()
  const windows = [await Window.open(context, 'Ada'), await Window.open(context, 'Ben')]
  const [ada, ben] = windows
  for (const text of ['good evening', '<b>is this bold?</b>', 'one\ntwo']) {
    for (const one of windows) {
      await one.say(`${text}, says ${one.name}`)
      await both(windows, (other) => other.shows(`${text}, says ${one.name}`))
    }
  }
  await both(windows, (one) => one.until((here) =>
    document.querySelector('#presence').textContent === here, `${values.readers} here`))
  print({ kind: 'before', ...(await ada.look()) })

  await cut(windows)

  await both(windows, (one) => one.until(() =>
    document.querySelector('#state').dataset.state === 'open'))
  await ada.page.keyboard.press('Enter') // what could not be sent is still there
  await both(windows, (one) => one.shows('said into the void'))
  await ben.say('we are back')
  await both(windows, (one) => one.shows('we are back'))
  await both(windows, (one) => one.until((here) =>
    document.querySelector('#presence').textContent === here, `${values.readers} here`))
  for (const one of windows) print({ kind: 'after', name: one.name, ...(await one.look()) })
  if (values.screenshots) {
    await ada.shoot('light', { colorScheme: 'light' }, { width: 1000, height: 760 })
    await ada.shoot('dark', { colorScheme: 'dark' }, { width: 1000, height: 760 })
    await ada.shoot('narrow', { colorScheme: 'light' }, { width: 340, height: 640 })
    await ben.shoot('narrow-dark', { colorScheme: 'dark' }, { width: 390, height: 780 })
  }
  await flood(windows)
}

const profile = await mkdtemp(join(tmpdir(), 'lunesse-chat-'))
const context = await chromium.launchPersistentContext(profile, {
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  headless: true,
  viewport: { width: 1000, height: 760 },
  args: [
    '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
    '--disable-background-networking', '--disable-component-update', '--disable-sync',
  ],
})
try {
  // Nothing here may outlive a test that forgot it.
  await Promise.race([
    run(context),
    new Promise((_, reject) => {
      const fail = () => reject(new Error('it took too long'))
      setTimeout(fail, Number(values.seconds) * 1000).unref()
    }),
  ])
} catch (error) {
  print({ kind: 'failure', message: String(error) })
  process.exitCode = 1
} finally {
  await context.close()
  await proxy.close()
  await rm(profile, { recursive: true, force: true })
}
