import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'

interface EntryPoint {
  readonly http: {
    readonly encodedCharacters?: Readonly<Record<string, boolean>>
  }
}

const read = (path: string) => readFileSync(path, 'utf8')
const example = /```yaml\n(entryPoints:.*?)```/s.exec(read('docs/traefik.md'))?.[1] ?? ''

/** Every static configuration of Traefik that we give away, and the one that the documentation shows. */
const FILES: Readonly<Record<string, Readonly<Record<string, EntryPoint>>>> = {
  ...Object.fromEntries(
    [
      'deploy/traefik/traefik.yaml',
      'deploy/compose/traefik.yaml',
      'deploy/k8s/traefik/plain/traefik.yaml',
    ].map((path) => [path, entryPointsOf(read(path))]),
  ),
  'deploy/k8s/traefik/helm-values.yaml': (
    parse(read('deploy/k8s/traefik/helm-values.yaml')) as { ports: Record<string, EntryPoint> }
  ).ports,
  'docs/traefik.md': { websecure: entryPointsOf(example)['websecure'] as EntryPoint },
}

function entryPointsOf(text: string): Record<string, EntryPoint> {
  return (parse(text) as { entryPoints: Record<string, EntryPoint> }).entryPoints
}

describe('C16: an encoded backslash or NUL is refused', () => {
  test.for(Object.keys(FILES))('on every entry point of %s', (path) => {
    const entryPoints = Object.values(FILES[path] ?? {})
    expect(entryPoints.length).toBeGreaterThan(0)
    for (const { http } of entryPoints) {
      expect(http.encodedCharacters).toMatchObject({
        allowEncodedBackSlash: false,
        allowEncodedNullCharacter: false,
      })
    }
  })
})
