export { findProgram, freePort, type RunningProcess, startProcess } from '../../demo/process.ts'
