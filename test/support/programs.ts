import { execFileSync } from 'node:child_process'
import type { TestProject } from 'vitest/node'
import { findProgram } from '../../stand-ins/process.ts'
import { fetchPrograms, isFetched } from './fetched-programs.ts'

/** Programs that the projects of each lane use; on Debian each is in a package of the same name, but for those that are fetched. */
const NPM_TEST = ['redis-server']
const DEPLOY = ['kubectl', 'helm', 'promtool']
const TEST_FULL = [...NPM_TEST, 'chromium', 'caddy', 'nginx']
/** These start nothing but the service. */
const WITHOUT_PROGRAMS: ReadonlySet<string> = new Set(['unit', 'oidc'])

const programsOf = (project: string): readonly string[] => {
  if (WITHOUT_PROGRAMS.has(project)) return []
  if (project === 'deploy') return DEPLOY
  return project.startsWith('full-') || project === 'soak' ? TEST_FULL : NPM_TEST
}

/** Projects load this file each for itself, so what one has tried the next learns from the environment. */
const TRIED = 'VESTIBULE_TESTS_TRIED_TO_INSTALL'

/** Installs what is missing where that is possible: on Debian, as root. Tests skip what is still not there, by name. */
export default function installPrograms({ name }: TestProject): void {
  const tried = (process.env[TRIED] ?? '').split(' ')
  const wanted = programsOf(name).filter((program) => !tried.includes(program))
  process.env[TRIED] = [...tried, ...wanted].join(' ')
  const unfetched = fetchPrograms(wanted.filter(isFetched))
  if (unfetched.length > 0) process.stdout.write(`not on PATH: ${unfetched.join(', ')}\n`)
  install(wanted.filter((program) => !isFetched(program) && !findProgram(program)))
}

function install(missing: readonly string[]): void {
  if (missing.length === 0) return
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
