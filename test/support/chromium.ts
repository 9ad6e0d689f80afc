import { type Browser, chromium } from 'playwright-core'
import { findProgram } from '../../stand-ins/process.ts'

const FLAGS =
  '--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update --disable-sync'

const program = findProgram('chromium')

/** Returns why no browser can be started here, or `undefined` when one can. */
export const chromiumMissing = program ? undefined : 'chromium is not on PATH'

export interface ChromiumOptions {
  /** Keeps pages for going back to them, as browsers of people do. */
  readonly isKeepingPages?: boolean
}

export function launchChromium({ isKeepingPages = false }: ChromiumOptions = {}): Promise<Browser> {
  return chromium.launch({
    executablePath: program ?? '',
    args: FLAGS.split(' '),
    ignoreDefaultArgs: isKeepingPages ? ['--disable-back-forward-cache'] : [],
  })
}
