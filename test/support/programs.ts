import { execFileSync } from 'node:child_process'
import { findProgram } from '../../demo/process.ts'

/** Programs that end-to-end tests use, and the Debian package each is in. */
const PACKAGES = { chromium: 'chromium', caddy: 'caddy' } as const

/** Installs what is missing where that is possible: on Debian, as root. Tests skip what is still not there, by name. */
export default function installPrograms(): void {
  const missing = Object.entries(PACKAGES).filter(([program]) => !findProgram(program))
  if (missing.length === 0) return
  const names = missing.map(([, name]) => name)
  if (process.getuid?.() !== 0 || !findProgram('apt-get')) {
    process.stdout.write(`not on PATH, and cannot be installed here: ${names.join(', ')}\n`)
    return
  }
  process.stdout.write(`installing ${names.join(', ')}\n`)
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  for (const args of [
    ['update', '-q'],
    ['install', '-y', '-q', '--no-install-recommends', ...names],
  ]) {
    try {
      execFileSync('apt-get', args, { env, stdio: ['ignore', 'ignore', 'inherit'] })
    } catch {
      process.stdout.write(`apt-get ${args[0]} failed\n`)
    }
  }
}
