#!/usr/bin/env node
import { catchStopSignals } from './commands/stop-signals.ts'
import type { Environment } from './config/config.ts'
import { ConfigError } from './config/config-error.ts'

type Command = (environment: Environment, ...args: string[]) => Promise<number>

/** Commands, each loaded only when it is called, so that signals to stop are caught before the slow import. */
const COMMANDS: Readonly<Record<string, Command>> = {
  async serve(environment) {
    const signals = catchStopSignals()
    const { serve } = await import('./commands/serve.ts')
    return serve(environment, signals)
  },
  async 'check-config'(environment) {
    const { checkConfig } = await import('./commands/check-config.ts')
    return checkConfig(environment)
  },
  async healthcheck(environment) {
    const { healthcheck } = await import('./commands/healthcheck.ts')
    return healthcheck(environment)
  },
  async render(environment, ...args) {
    const { render } = await import('./commands/render.ts')
    return render(environment, ...args)
  },
  async explain(environment, ...args) {
    const { explain } = await import('./commands/explain/explain.ts')
    return explain(environment, ...args)
  },
  async doctor(environment, ...args) {
    const { doctor } = await import('./commands/doctor.ts')
    return doctor(environment, ...args)
  },
  async migrate(_environment, ...args) {
    const { migrate } = await import('./commands/migrate.ts')
    return migrate(...args)
  },
  async sessions(environment, ...args) {
    const { sessions } = await import('./commands/sessions.ts')
    return sessions(environment, ...args)
  },
  async broadcast(environment, ...args) {
    const { broadcast } = await import('./commands/broadcast.ts')
    return broadcast(environment, ...args)
  },
  async certificates(environment, ...args) {
    const { certificates } = await import('./commands/certificates/certificates.ts')
    return certificates(environment, ...args)
  },
}

/** Commands that take no arguments because the environment configures them. */
const WITHOUT_ARGUMENTS = ['serve', 'check-config', 'healthcheck']

const HELP = `usage: vestibule COMMAND
  serve         runs the service; the same without a command
  check-config  prints the settings in effect, or what is wrong with them
  healthcheck   ends with 0 when the service on this machine is ready
  render        prints the configuration for Traefik
  explain       says what the rules permit whom, and why
  doctor        examines the installation from outside and says how to mend it
  migrate       carries the configuration of another forward-auth service over
  sessions      lists and ends sessions of a running service
  broadcast     sends an event to the open pages of a running service
  certificates  makes and renews the certificates of the internal listener
The settings are environment variables: docs/configuration.md.
`

const [name = 'serve', ...args] = process.argv.slice(2)
const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined
if (/^(?:--help|-h|help)$/.test(name)) {
  process.stdout.write(HELP)
  process.exit(0)
} else if (!command) {
  refuse(`no command ${name}; the commands are ${Object.keys(COMMANDS).join(', ')}`)
} else if (WITHOUT_ARGUMENTS.includes(name) && args.length > 0) {
  refuse(`${name} takes no arguments; it is configured by its environment`)
}
try {
  process.exit(await command(process.env, ...args))
} catch (error) {
  if (!(error instanceof ConfigError) && !(error instanceof Error && 'syscall' in error))
    throw error
  process.stderr.write(`vestibule: ${error.message}\n`)
  process.exit(1)
}

/** Prints the usage error and exits with 2. */
function refuse(why: string): never {
  process.stderr.write(`vestibule: ${why}\n`)
  process.exit(2)
}
