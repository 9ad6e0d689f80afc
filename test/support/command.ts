import { vi } from 'vitest'

/** Runs a command in this process. Resolves with its exit code and everything that it printed. */
export async function runCommand(
  command: () => Promise<number>,
): Promise<{ readonly code: number; readonly output: string }> {
  let output = ''
  const note = (text: string | Uint8Array): boolean => {
    output += String(text)
    return true
  }
  vi.spyOn(process.stdout, 'write').mockImplementation(note)
  vi.spyOn(process.stderr, 'write').mockImplementation(note)
  try {
    return { code: await command(), output }
  } finally {
    vi.restoreAllMocks()
  }
}
