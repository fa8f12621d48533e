// SPDX-License-Identifier: MIT
//
// Headless Chromium as a judge. Opens a URL, runs a script in the page and prints what it returns
// as one line of JSON; before that, one line for each console message and page error. The script is
// the body of an async function, read from a file or, with `-`, from standard input.
//
//   node browser.mjs URL SCRIPT|- [--screenshot FILE] [--width N] [--height N] [--dark] [--phone]
//     [--reload] [--hurry N] [--seconds N]
//
// `--phone` has a touch screen and no mouse. `--reload` loads the page again when the script has
// returned, and runs it once more. `--hurry` makes the page's timeouts so many times shorter.
import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { chromium } from 'playwright-core'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    screenshot: { type: 'string' },
    width: { type: 'string', default: '1280' },
    height: { type: 'string', default: '800' },
    dark: { type: 'boolean', default: false },
    phone: { type: 'boolean', default: false },
    reload: { type: 'boolean', default: false },
    hurry: { type: 'string', default: '1' },
    seconds: { type: 'string', default: '20' },
  },
})

const [url, script] = positionals
const body = readFileSync(script === '-' || script === undefined ? 0 : script, 'utf8')
const profile = await mkdtemp(join(tmpdir(), 'lunesse-browser-'))

function print(record) {
  process.stdout.write(JSON.stringify(record) + '\n')
}

const context = await chromium.launchPersistentContext(profile, {
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  headless: true,
  viewport: { width: Number(values.width), height: Number(values.height) },
  colorScheme: values.dark ? 'dark' : 'light',
  isMobile: values.phone,
  hasTouch: values.phone,
  args: [
    '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
    '--disable-background-networking', '--disable-component-update', '--disable-sync',
  ],
})

try {
  const page = context.pages()[0] ?? (await context.newPage())
  page.setDefaultTimeout(Number(values.seconds) * 1000)
  page.on('console', (message) => print({ kind: 'console', text: message.text() }))
  page.on('pageerror', (error) => print({ kind: 'page-error', message: String(error) }))
  await page.addInitScript((times) => {
    const usual = window.setTimeout
    window.setTimeout = (fn, ms, ...rest) => usual(fn, ms / times, ...rest)
  }, Number(values.hurry))
  const run = () => Promise.race([
    page.evaluate((text) => new Function(`return (async () => {\n${text}\n})()`)(), body),
    new Promise((_, reject) =>
      setTimeout(() => reject(new Error('the script did not return in time')),
        Number(values.seconds) * 1000).unref()),
  ])
  await page.goto(url, { waitUntil: 'domcontentloaded' })
  let result = await run()
  if (values.reload) {
    print({ kind: 'before', value: result ?? null })
    await page.reload({ waitUntil: 'domcontentloaded' })
    result = await run()
  }
  if (values.screenshot) {
    await page.screenshot({ path: values.screenshot })
  }
  print({ kind: 'result', value: result ?? null })
} catch (error) {
  print({ kind: 'failure', message: String(error) })
  process.exitCode = 1
} finally {
  await context.close()
  await rm(profile, { recursive: true, force: true })
}
