import { checkConfig } from './commands/check-config.ts'
import { healthcheck } from './commands/healthcheck.ts'
import { render } from './commands/render.ts'
import { serve } from './commands/serve.ts'
import { sessions } from './commands/sessions.ts'
import { ConfigError, type Environment } from './config.ts'

type Command = (environment: Environment, ...args: string[]) => Promise<number>

const COMMANDS: Readonly<Record<string, Command>> = {
  serve,
  'check-config': checkConfig,
  healthcheck,
  render,
  sessions,
}

const [name = 'serve', ...args] = process.argv.slice(2)
const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined
if (!command) {
  process.stderr.write(
    `vestibule: no command ${name}; there are ${Object.keys(COMMANDS).join(', ')}\n`,
  )
  process.exit(2)
}
try {
  process.exit(await command(process.env, ...args))
} catch (error) {
  if (!(error instanceof ConfigError) && !(error instanceof Error && 'syscall' in error))
    throw error
  process.stderr.write(`vestibule: ${error.message}\n`)
  process.exit(1)
}
