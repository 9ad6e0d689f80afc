import { isReadFromFile, notesOf, type SettingName } from '../settings/settings.ts'
import type { GivenSetting } from './given.ts'

/** Takes settings out whose value is a reference that nothing resolves here, and says what to write instead (C56). */
export function refuseReferences(
  given: Map<SettingName, GivenSetting>,
  unreadable: Set<SettingName>,
  problems: string[],
): void {
  for (const [name, { value, origin }] of given) {
    const fault = [value].flat().map((text) => faultOf(text, name))
    const found = fault.find((each) => each !== undefined)
    if (found === undefined) continue
    const label = origin.kind === 'settings-file' ? `VESTIBULE_CONFIG: ${origin.key}` : name
    problems.push(`${label}: ${found}`)
    unreadable.add(name)
    given.delete(name)
  }
}

/** Matches a reference to a Secret, also within an address, where a colon of the password may be escaped. */
const KUBERNETES_SECRET = /urn(?::|%3a)k8s(?::|%3a)secret(?::|%3a)/i
const VARIABLE = /^\$\{\w+\}$/

/** Returns what to write for the path of a `NAME_FILE` that is such a reference itself. */
export function faultOfPath(path: string, name: SettingName): string | undefined {
  return path.search(KUBERNETES_SECRET) === 0 ? faultOfUrn(name) : undefined
}

function faultOfUrn(name: SettingName): string {
  const file = isReadFromFile(name)
    ? `, or mount the secret and name its file with ${name}_FILE`
    : ''
  return `refers to a Kubernetes secret as urn:k8s:secret:…, which is not resolved here: set ${name} in the container's env by valueFrom.secretKeyRef${file}`
}

function faultOf(text: string, name: SettingName): string | undefined {
  const { isSecret } = notesOf(name)
  const start = text.search(KUBERNETES_SECRET)
  if (start === 0 || (isSecret && start > 0)) {
    return faultOfUrn(name)
  }
  if (isSecret && VARIABLE.test(text)) {
    return `is a variable in braces, which is not replaced here: set ${name} in the environment, or name a file with ${name}_FILE`
  }
  return undefined
}
