import type { ConditionSource } from '../../config/rules/condition-source.ts'

/** Condition that is true for nobody, until the operator writes another. */
export const NOBODY: ConditionSource = {
  all: [{ users: ['nobody'] }, { none: [{ users: ['nobody'] }] }],
}
