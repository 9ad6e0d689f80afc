import { type Browser, chromium } from 'playwright-core'
import { findProgram } from '../../stand-ins/process.ts'

const FLAGS =
  '--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update --disable-sync'

const program = findProgram('chromium')

/** Returns why no browser can be started here, or `undefined` when one can. */
export const chromiumMissing = program ? undefined : 'chromium is not on PATH'

export function launchChromium(): Promise<Browser> {
  return chromium.launch({ executablePath: program ?? '', args: FLAGS.split(' ') })
}
