import { existsSync, mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import type { Environment } from '../../../src/config/config.ts'
import { ConfigError } from '../../../src/config/config-error.ts'
import { runCommand } from '../command.ts'
import { confidential } from '../configuration.ts'

type Command = (...args: readonly unknown[]) => Promise<number>

/** No service listens at this port, so that commands that ask one end at once. */
const ENVIRONMENT = {
  ...confidential,
  INTERNAL_PORT: '9',
  ADMIN_TOKEN: 'an admin token of a page that nobody has',
  BROADCAST_TOKEN: 'a broadcast token of a page that nobody has',
}
const WITHOUT_ARGUMENTS = new Set(['serve', 'check-config', 'healthcheck'])

/**
 * Runs a command in a folder, where absolute paths lead as well. Returns what is wrong with its arguments, not with the installation
 * that it does not find.
 */
export async function runVestibule(
  [name = 'serve', ...args]: readonly string[],
  folder: string,
): Promise<string | undefined> {
  if (WITHOUT_ARGUMENTS.has(name)) return args.length > 0 ? `${name} takes none` : undefined
  const file = [`${name}.ts`, `${name}/${name}.ts`].find((it) => existsSync(`src/commands/${it}`))
  if (file === undefined) return `vestibule has no command ${name}`
  const module = (await import(/* @vite-ignore */ `../../../src/commands/${file}`)) as Readonly<
    Record<string, Command>
  >
  const here = args.map((arg) => arg.replace(/^\/(?=etc\/|run\/|var\/)/, `${folder}/`))
  for (const arg of here.filter((it) => it.startsWith(folder)))
    mkdirSync(dirname(arg), { recursive: true })
  const back = process.cwd()
  process.chdir(folder)
  try {
    // Doctor would ask hosts and providers that are examples; without settings it says only that.
    const environment: Environment = name === 'doctor' ? {} : ENVIRONMENT
    const before = name === 'migrate' ? [] : [environment]
    const { code, output } = await runCommand(
      async () => (await module[name]?.(...before, ...here)) ?? 2,
    )
    return code === 2 || /^usage: /m.test(output) ? output.slice(0, 300) : undefined
  } catch (error) {
    return error instanceof ConfigError ? undefined : String(error)
  } finally {
    process.chdir(back)
  }
}
