/**
 * HTML, searched by CSS selectors. Besides those of the standard there are `:checked`, `:disabled`, `:enabled`, `:input`,
 * `:contains("text")` and `:containsOwn("text")` (upper or lower case), `:matches(pattern)`, `:matchesOwn(pattern)`,
 * `:haschild(selector)`, `[name!="value"]` and `[name#=pattern]`. What is no selector matches nothing.
 */
declare module "k6/html" {
  /** Throws a `RangeError` for a document with more than 10,000 elements within each other. */
  export function parseHTML(source: string): Selection

  type Matcher = string | Selection | Element | ((index: number, element: Selection) => boolean)

  /** Elements of a document, in its order. */
  export interface Selection {
    size(): number
    text(): string
    /** What is inside the first element. Quotes are escaped, and elements that hold nothing end with a slash. */
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

  /** An attribute of an element. */
  export interface Attribute {
    name: string
    value: string
    readonly ownerElement: Element
    localName(): string
    namespaceURI(): string
    prefix(): string
  }

  /** One node. What is a property in browsers is a method here; elements of a kind have those of their kind too. */
  export interface Element {
    nodeName(): string
    /** 1 for elements, 3 for text, 8 for comments, 9 for the document. */
    nodeType(): number
    nodeValue(): string | undefined
    id(): string
    className(): string
    classList(): string[]
    lang(): string
    textContent(): string
    innerHTML(): string
    toString(): string
    namespaceURI(): string | undefined
    isDefaultNamespace(): boolean

    /** In order; each also under its name. */
    attributes(): Attribute[]
    getAttribute(name: string): string | undefined
    getAttributeNode(name: string): Attribute | undefined
    hasAttribute(name: string): boolean
    hasAttributes(): boolean

    children(): Element[]
    childNodes(): Element[]
    childElementCount(): number
    hasChildNodes(): boolean
    firstChild(): Element | undefined
    lastChild(): Element | undefined
    firstElementChild(): Element | undefined
    lastElementChild(): Element | undefined
    parentElement(): Element | undefined
    parentNode(): Element | undefined
    nextSibling(): Element | undefined
    previousSibling(): Element | undefined
    nextElementSibling(): Element | undefined
    previousElementSibling(): Element | undefined
    ownerDocument(): Element

    querySelector(selector: string): Element | undefined
    querySelectorAll(selector: string): Element[]
    getElementsByTagName(name: string): Element[]
    getElementsByClassName(names: string): Element[]
    matches(selector: string): boolean
    contains(other: Element): boolean
    isSameNode(other: Element): boolean
    isEqualNode(other: Element): boolean
    selection(): Selection

    /** `href()` of links, `value()` of inputs, `rows()` of tables, and so on. */
    [ofItsKind: string]: any
  }

  const html: typeof import("k6/html")
  export default html
}
