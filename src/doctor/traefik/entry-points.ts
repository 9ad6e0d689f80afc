import { type Finding, finding } from '../finding.ts'
import { type Options, optionAt, type TraefikConfiguration } from './configuration.ts'

/** Examines what each entry point lets clients send. */
export function examineEntryPoints({ entryPoints }: TraefikConfiguration): readonly Finding[] {
  const served = [...entryPoints].filter(([, options]) => isHttp(options))
  return [
    ...findingOf(served, 'forwarded_insecure', 'forwardedHeaders.insecure is true', isInsecure),
    ...findingOf(served, 'alias_strategy', 'http.aliasHeadersStrategy is not delete', isKeeping),
    ...findingOf(served, 'encoded_characters', '%5C and %00 are allowed', isDecoding),
  ]
}

type Code = 'forwarded_insecure' | 'alias_strategy' | 'encoded_characters'

/** Makes one finding of all entry points with a fault. */
function findingOf(
  served: readonly (readonly [string, Options])[],
  code: Code,
  seen: string,
  hasFault: (options: Options) => boolean,
): readonly Finding[] {
  const names = served.filter(([, options]) => hasFault(options)).map(([name]) => name)
  return names.length === 0 ? [] : [finding(code, `Entry point ${names.join(', ')}: ${seen}.`)]
}

/** Leaves out UDP, and entry points that only redirect. */
function isHttp(options: Options): boolean {
  const isUdp = String(options['address']).endsWith('/udp')
  return !isUdp && optionAt(options, 'http', 'redirections', 'entryPoint') === undefined
}

function isInsecure(options: Options): boolean {
  return optionAt(options, 'forwardedHeaders', 'insecure') === true
}

function isKeeping(options: Options): boolean {
  const strategies = ['aliasHeadersStrategy', 'underscoreHeadersStrategy'].map((name) =>
    optionAt(options, 'http', name),
  )
  return !strategies.some((each) => each === 'delete' || each === 'reject')
}

function isDecoding(options: Options): boolean {
  const allowed = ['allowEncodedBackSlash', 'allowEncodedNullCharacter']
  return allowed.some((name) => optionAt(options, 'http', 'encodedCharacters', name) !== false)
}
