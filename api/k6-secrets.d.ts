/** Secrets from the sources of `--secret-source`; their values are blotted out of every log line. */
declare module "k6/secrets" {
  interface Source {
    /** Rejects if there is no such secret. */
    get(name: string): Promise<string>
  }
  const secrets: Source & {
    /** A source by its name, where there are several. */
    source(name: string): Source
  }
  export default secrets
}
