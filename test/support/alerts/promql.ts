import { parser } from '@prometheus-io/lezer-promql'

/** Selector of a query, with its matchers. */
export interface Selector {
  readonly name: string
  readonly matchers: readonly {
    readonly label: string
    readonly op: string
    readonly value: string
  }[]
}

/** Parses a query; what Grafana puts in for its variables is put in before. Throws where it is no PromQL. */
function treeOf(query: string) {
  const text = query.replaceAll('$__rate_interval', '5m')
  const tree = parser.parse(text)
  tree.iterate({
    enter(node) {
      if (node.type.isError) throw new Error(`no PromQL at ${node.from}: ${text}`)
    },
  })
  return { text, tree }
}

/** Returns the selectors of a query. */
export function selectorsOf(query: string): readonly Selector[] {
  const { text, tree } = treeOf(query)
  const found: Selector[] = []
  tree.iterate({
    enter({ name, node }) {
      if (name !== 'VectorSelector') return
      const metric = node.getChild('Identifier')
      const matchers = (
        node.getChild('LabelMatchers')?.getChildren('UnquotedLabelMatcher') ?? []
      ).map((each) => {
        const [label = '', op = '', value = ''] = ['LabelName', 'MatchOp', 'StringLiteral'].map(
          (part) => {
            const child = each.getChild(part)
            return child ? text.slice(child.from, child.to) : ''
          },
        )
        return { label, op, value: JSON.parse(value) as string }
      })
      found.push({ name: metric ? text.slice(metric.from, metric.to) : '', matchers })
    },
  })
  return found
}

/** Returns the labels by which a query groups or matches. */
export function groupingLabelsOf(query: string): readonly string[] {
  const { text, tree } = treeOf(query)
  const labels = new Set<string>()
  tree.iterate({
    enter({ name, node }) {
      if (name === 'LabelName' && node.parent?.name === 'GroupingLabels')
        labels.add(text.slice(node.from, node.to))
    },
  })
  return [...labels]
}
