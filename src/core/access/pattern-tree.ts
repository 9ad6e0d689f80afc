import type { SegmentPattern } from '../path-pattern.ts'

/**
 * Folded patterns as a tree of segments, so that a path is compared with those patterns only that begin as it does, or
 * end as it does behind a `**`. Uses no more segments of a path than the longest pattern has (finding C4, threat A25).
 */
export interface PatternTree<Value> {
  /** Returns the value of a pattern, which is made where the pattern is new. */
  at(pattern: SegmentPattern): Value
  /** Returns the values of all patterns that match a path, in no order. */
  match(path: string): readonly Value[]
}

export function createPatternTree<Value>(createValue: () => Value): PatternTree<Value> {
  const root = createNode<Value>()
  return {
    at({ head, tail }) {
      const end = descend(root, head)
      const node = tail ? descend((end.tails ??= createNode()), tail.toReversed()) : end
      return (node.value ??= createValue())
    },
    match(path) {
      // A path without its final slash may be empty, and has one empty segment then as `/` has.
      const search: Search<Value> = { path: path === '' ? '/' : path, found: [] }
      searchHeads(root, 0, search)
      return search.found
    },
  }
}

interface Node<Value> {
  /** Value of the pattern that ends here. */
  value: Value | undefined
  readonly literals: Map<string, Node<Value>>
  /** Length of the longest literal; longer segments are not looked up, which would hash them. */
  longest: number
  /** Node behind `*`. */
  any: Node<Value> | undefined
  /** Tails of the patterns whose `**` stands here, from their last segment to their first. */
  tails: Node<Value> | undefined
}

interface Search<Value> {
  readonly path: string
  readonly found: Value[]
}

function createNode<Value>(): Node<Value> {
  return { value: undefined, literals: new Map(), longest: 0, any: undefined, tails: undefined }
}

function descend<Value>(from: Node<Value>, segments: SegmentPattern['head']): Node<Value> {
  let node = from
  for (const segment of segments) {
    if (segment === undefined) {
      node = node.any ??= createNode()
    } else {
      node.longest = Math.max(node.longest, segment.length)
      node = node.literals.getOrInsertComputed(segment, createNode<Value>)
    }
  }
  return node
}

/** Finds patterns whose head lies below a node, for a path that has been compared up to `at`. */
function searchHeads<Value>(node: Node<Value>, at: number, search: Search<Value>): void {
  const { path, found } = search
  if (node.tails) searchTails(node.tails, at, path.length, search)
  if (at === path.length) {
    if (node.value !== undefined) found.push(node.value)
    return
  }
  const slash = path.indexOf('/', at + 1)
  const end = slash === -1 ? path.length : slash
  const literal = literalOf(node, path, at + 1, end)
  if (literal) searchHeads(literal, end, search)
  if (node.any && end > at + 1) searchHeads(node.any, end, search)
}

/** Finds patterns whose tail lies below a node, for a path of which the part between `start` and `end` is left. */
function searchTails<Value>(
  node: Node<Value>,
  start: number,
  end: number,
  search: Search<Value>,
): void {
  const { path, found } = search
  if (node.value !== undefined) found.push(node.value)
  const slash = path.lastIndexOf('/', end - 1)
  if (slash < start) return
  const literal = literalOf(node, path, slash + 1, end)
  if (literal) searchTails(literal, start, slash, search)
  if (node.any && end > slash + 1) searchTails(node.any, start, slash, search)
}

function literalOf<Value>(
  { literals, longest }: Node<Value>,
  path: string,
  from: number,
  to: number,
): Node<Value> | undefined {
  return to - from > longest ? undefined : literals.get(path.slice(from, to))
}
