import { execFileSync } from 'node:child_process'
import { cpus, release, totalmem } from 'node:os'
import { findProgram } from '../stand-ins/process.ts'

/** Returns what the figures depend on besides the code. */
export function describeMachine(): Readonly<Record<string, string>> {
  const [processor] = cpus()
  return {
    commit: firstLine('git', ['rev-parse', '--short', 'HEAD']) ?? 'unknown',
    date: new Date().toISOString().slice(0, 10),
    processor: `${cpus().length} × ${processor?.model.trim() ?? 'unknown'}`,
    memory: `${Math.round(totalmem() / 2 ** 30)} GiB`,
    kernel: release(),
    node: process.version,
    redis: firstLine('redis-server', ['--version'])?.match(/v=(\S+)/)?.[1] ?? 'absent',
    traefik: /Version:\s+(\S+)/.exec(output('traefik', ['version']) ?? '')?.[1] ?? 'absent',
    'oauth2-proxy': firstLine('oauth2-proxy', ['--version'])?.split(' ')[1] ?? 'absent',
  }
}

function firstLine(program: string, args: readonly string[]): string | undefined {
  return output(program, args)?.split('\n')[0]
}

function output(program: string, args: readonly string[]): string | undefined {
  if (!findProgram(program)) return undefined
  return execFileSync(program, args, { encoding: 'utf8' })
}
