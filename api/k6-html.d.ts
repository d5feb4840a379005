/** HTML, searched by CSS selectors. */
declare module "k6/html" {
  export function parseHTML(source: string): Selection

  type Matcher = string | Selection | ((index: number, element: Element) => boolean)

  /** Elements of a document, in its order. */
  export interface Selection {
    size(): number
    text(): string
    html(): string
    attr(name: string, otherwise?: string): string | undefined
    /** `data-*` attributes; values that are JSON are parsed. */
    data(name?: string): any
    val(): string | string[] | undefined
    is(matcher: Matcher): boolean
    index(of?: Matcher): number

    find(selector: string): Selection
    /** As `find`, but only the first. */
    single(selector: string): Selection
    filter(matcher: Matcher): Selection
    not(matcher: Matcher): Selection
    has(matcher: Matcher): Selection
    add(more: string | Selection): Selection
    eq(index: number): Selection
    first(): Selection
    last(): Selection
    slice(start: number, end?: number): Selection
    end(): Selection

    children(selector?: string): Selection
    contents(): Selection
    closest(selector: string): Selection
    parent(selector?: string): Selection
    parents(selector?: string): Selection
    parentsUntil(until?: string | Selection, filter?: string): Selection
    next(selector?: string): Selection
    nextAll(selector?: string): Selection
    nextUntil(until?: string | Selection, filter?: string): Selection
    prev(selector?: string): Selection
    prevAll(selector?: string): Selection
    prevUntil(until?: string | Selection, filter?: string): Selection
    siblings(selector?: string): Selection

    each(call: (index: number, element: Element) => void): Selection
    map<T>(call: (index: number, element: Selection) => T): T[]
    get(index: number): Element | undefined
    get(): Element[]
    toArray(): Selection[]

    /** A form's fields as a query, as pairs, as an object. */
    serialize(): string
    serializeArray(): { name: string; value: string }[]
    serializeObject(): { [name: string]: string }
  }

  /** One element. What is a property in browsers is a method here. */
  export interface Element {
    nodeName(): string
    textContent(): string
    innerHTML(): string
    getAttribute(name: string): string | undefined
    hasAttribute(name: string): boolean
    id(): string
    className(): string
    children(): Element[]
    parentElement(): Element | undefined
    nextElementSibling(): Element | undefined
    previousElementSibling(): Element | undefined
    querySelector(selector: string): Element | undefined
    querySelectorAll(selector: string): Element[]
    selection(): Selection
  }
}
