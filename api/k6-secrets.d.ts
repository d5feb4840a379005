/** Secrets from the sources of `--secret-source`; their values are blotted out of every log line. */
declare module "k6/secrets" {
  interface Source {
    get(name: string): Promise<string>
  }
  /** From the default source. Rejects if there is no such secret. */
  export function get(name: string): Promise<string>
  /** A source by its name, where there are several. */
  export function source(name: string): Source
  const secrets: { get: typeof get; source: typeof source }
  export default secrets
}
