import { isRecord } from '../../core/json.ts'
import { textOf } from './given-values.ts'
import { entriesOf, type Members, memberOf } from './parse-documents.ts'

/** Returns the configuration that the labels of the services of a Compose file give to Traefik. */
export function labelsOf(document: Members): Members {
  const labels = entriesOf(memberOf(document, 'services')).flatMap(([, service]) => [
    ...pairsOf(memberOf(service, 'labels')),
    ...pairsOf(memberOf(memberOf(service, 'deploy'), 'labels')),
  ])
  const root: Tree = {}
  for (const [name, value] of labels) {
    if (name.toLowerCase().startsWith('traefik.')) put(root, stepsOf(name), value)
  }
  return root
}

interface Tree {
  [step: string]: Tree | string
}

/** In Compose a dollar sign is doubled. */
function pairsOf(labels: unknown): readonly (readonly [string, string])[] {
  const pairs = Array.isArray(labels)
    ? labels.map((label) => /^([^=]*)=(.*)$/s.exec(String(label)) ?? []).map(([, a, b]) => [a, b])
    : entriesOf(labels)
  return pairs.flatMap(([name, value]) =>
    name === undefined ? [] : [[name, (textOf(value) ?? '').replaceAll('$$', '$')] as const],
  )
}

/** `traefik.http.middlewares.a.plugin.b.headers[0].name` has the steps `http`, …, `headers`, `0`, `name`. */
function stepsOf(label: string): readonly string[] {
  return label
    .split('.')
    .slice(1)
    .flatMap((step) => step.replaceAll(/\[(\d+)\]/g, '.$1').split('.'))
}

const REFUSED = new Set(['__proto__', 'constructor', 'prototype'])

function put(root: Tree, steps: readonly string[], value: string): void {
  if (steps.some((step) => REFUSED.has(step))) return
  let node = root
  for (const step of steps.slice(0, -1)) {
    const next = node[step]
    node = isRecord(next) ? next : (node[step] = {})
  }
  node[steps.at(-1) ?? ''] = value
}
