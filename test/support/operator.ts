import { startProcess } from '../../stand-ins/process.ts'
import type { RunningVestibule } from './vestibule.ts'

export const ADMIN_TOKEN = 'an-admin-token-that-is-long-enough-for-anybody'

export const askAdmin = async (
  { internalPort }: Pick<RunningVestibule, 'internalPort'>,
  method: string,
  path: string,
  body?: unknown,
) => {
  const response = await fetch(`http://127.0.0.1:${internalPort}/admin/${path}`, {
    method,
    headers: { Authorization: `Bearer ${ADMIN_TOKEN}`, 'Content-Type': 'application/json' },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  })
  const text = await response.text()
  const isJson = response.headers.get('content-type') === 'application/json'
  return {
    status: response.status,
    headers: response.headers,
    text,
    body: (isJson && JSON.parse(text)) as unknown,
  }
}

export const runCommand = async (
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
) => {
  const running = startProcess(process.execPath, ['src/main.ts', ...args], {
    env: { PATH: process.env['PATH'] ?? '', ...env },
  })
  return { code: await running.exited, output: running.output() }
}
