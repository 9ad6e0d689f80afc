import { execFileSync } from 'node:child_process'
import type { TestProject } from 'vitest/node'
import { findProgram } from '../../stand-ins/process.ts'

/** Programs that the projects of each lane use; on Debian each is in a package of the same name. */
const NPM_TEST = ['redis-server']
const TEST_FULL = [...NPM_TEST, 'chromium', 'caddy', 'nginx']
/** These start nothing but the service. */
const WITHOUT_PROGRAMS: ReadonlySet<string> = new Set(['unit', 'oidc', 'deploy'])

const programsOf = (project: string): readonly string[] => {
  if (WITHOUT_PROGRAMS.has(project)) return []
  return project.startsWith('full-') || project === 'soak' ? TEST_FULL : NPM_TEST
}

/** Projects load this file each for itself, so what one has tried the next learns from the environment. */
const TRIED = 'VESTIBULE_TESTS_TRIED_TO_INSTALL'

/** Installs what is missing where that is possible: on Debian, as root. Tests skip what is still not there, by name. */
export default function installPrograms({ name }: TestProject): void {
  const tried = (process.env[TRIED] ?? '').split(' ')
  const missing = programsOf(name).filter(
    (program) => !findProgram(program) && !tried.includes(program),
  )
  if (missing.length === 0) return
  process.env[TRIED] = [...tried, ...missing].join(' ')
  if (process.getuid?.() !== 0 || !findProgram('apt-get')) {
    process.stdout.write(`not on PATH, and cannot be installed here: ${missing.join(', ')}\n`)
    return
  }
  process.stdout.write(`installing ${missing.join(', ')}\n`)
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  for (const args of [
    ['update', '-q'],
    ['install', '-y', '-q', '--no-install-recommends', ...missing],
  ]) {
    try {
      execFileSync('apt-get', args, { env, stdio: ['ignore', 'ignore', 'inherit'] })
    } catch {
      process.stdout.write(`apt-get ${args[0]} failed\n`)
    }
  }
}
