(function (Element) {
  'use strict';

  // How an attribute is read: as text, as a truth, as a number, as one of several words.
  const text = (attribute) => function () { return this.getAttribute(attribute) ?? ''; };
  const truth = (attribute) => function () { return this.hasAttribute(attribute); };
  const number = (attribute, otherwise = 0) => function () {
    const value = parseInt(this.getAttribute(attribute), 10);
    return Number.isNaN(value) ? otherwise : value;
  };
  const real = (attribute, otherwise) => function () {
    const value = parseFloat(this.getAttribute(attribute));
    return Number.isNaN(value) ? otherwise : value;
  };
  const word = (attribute, words, otherwise = words[0]) => function () {
    const value = (this.getAttribute(attribute) ?? '').toLowerCase();
    return words.includes(value) ? value : otherwise;
  };
  const words = (attribute) => function () { return (this.getAttribute(attribute) ?? '').split(/\s+/).filter(Boolean); };

  const all = (make, names) => Object.fromEntries(names.split(' ').map((name) => [name, make(name.toLowerCase())]));
  const texts = (names) => all(text, names);
  const truths = (names) => all(truth, names);
  const numbers = (names) => all(number, names);

  const ancestor = (name) => function () {
    for (let e = this.parentElement(); e !== undefined; e = e.parentElement()) if (e.nodeName() === name) return e;
    return undefined;
  };
  const within = (selector) => function () { return this.querySelectorAll(selector); };
  const first = (selector) => function () { return this.querySelector(selector); };
  const byId = (element, id) => element.ownerDocument().querySelector(`[id="${id.replace(/["\\]/g, '\\$&')}"]`);

  const owner = {
    form() {
      const id = this.getAttribute('form');
      return id === undefined ? ancestor('form').call(this) : byId(this, id);
    },
    labels() {
      const labels = [];
      const around = ancestor('label').call(this);
      if (around !== undefined) labels.push(around);
      if (this.id() !== '') labels.push(...this.ownerDocument().querySelectorAll(`label[for="${this.id().replace(/["\\]/g, '\\$&')}"]`));
      return labels;
    },
    value() { return this._value(); },
  };
  const submitter = {
    ...truths('autofocus disabled formNoValidate'), ...texts('formTarget'),
    formAction() { return this.getAttribute('formaction') ?? owner.form.call(this)?.getAttribute('action') ?? ''; },
    formEnctype: word('formenctype', ['application/x-www-form-urlencoded', 'multipart/form-data', 'text/plain']),
    formMethod: word('formmethod', ['get', 'post']),
  };

  // An address in its parts; relative ones have only those they name.
  function parts(address) {
    const m = /^(?:([a-z][a-z0-9+.-]*:))?(?:\/\/(?:([^/?#:@]*)(?::([^/?#@]*))?@)?(\[[^\]]*\]|[^/?#:]*)(?::(\d*))?)?([^?#]*)(\?[^#]*)?(#.*)?$/i.exec(address.trim()) ?? [];
    const part = (n) => m[n] ?? '';
    const port = part(5);
    return {
      protocol: part(1).toLowerCase(), username: part(2), password: part(3), hostname: part(4).toLowerCase(), port,
      host: part(4).toLowerCase() + (port === '' ? '' : `:${port}`),
      pathname: part(6) === '' && part(4) !== '' ? '/' : part(6),
      search: part(7) === '?' ? '' : part(7), hash: part(8) === '#' ? '' : part(8),
    };
  }
  const href = {
    ...texts('download href hreflang media rel target type'), relList: words('rel'),
    origin() {
      const { protocol, host } = parts(this.href());
      return protocol === '' || host === '' ? '' : `${protocol}//${host}`;
    },
  };
  for (const name of ['protocol', 'username', 'password', 'hostname', 'port', 'host', 'pathname', 'search', 'hash']) {
    href[name] = function () { return parts(this.href())[name]; };
  }

  const size = numbers('width height');
  const media = {
    ...truths('autoplay controls loop'), ...texts('src mediaGroup'), crossOrigin: word('crossorigin', ['anonymous', 'use-credentials']),
    currentSrc: text('src'), defaultMuted: truth('muted'), muted: truth('muted'), preload: word('preload', ['auto', 'metadata', 'none']),
    textTracks: within('track'),
  };
  const cell = {
    colSpan: number('colspan', 1), rowSpan: number('rowspan', 1), headers: words('headers'),
    cellIndex() {
      const row = this.parentElement();
      return row === undefined ? -1 : row.children().filter((e) => ['td', 'th'].includes(e.nodeName())).findIndex((e) => e.isSameNode(this));
    },
  };
  const rowsOf = (element) => {
    const found = element.children().flatMap((e) => (e.nodeName() === 'tr' ? [e] : ['thead', 'tbody', 'tfoot'].includes(e.nodeName()) ? e.children().filter((r) => r.nodeName() === 'tr') : []));
    return found;
  };
  const section = { rows() { return this.children().filter((e) => e.nodeName() === 'tr'); } };
  const edited = { ...texts('cite'), datetime: text('datetime') };
  const options = { options: within('option'), length() { return this.options().length; } };

  const kinds = {
    a: { ...href, text() { return this.textContent(); } },
    area: { ...href, ...texts('alt coords shape') },
    audio: media,
    base: texts('href target'),
    body: texts('background'),
    button: { ...owner, ...submitter, name: text('name'), type: word('type', ['submit', 'button', 'menu', 'reset']) },
    canvas: { width: number('width', 300), height: number('height', 150) },
    data: { value: owner.value },
    datalist: { options: options.options },
    del: edited,
    ins: edited,
    embed: { ...texts('src type'), width: text('width'), height: text('height') },
    fieldset: { ...truths('disabled'), form: owner.form, name: text('name'), type: () => 'fieldset', validity: () => undefined, elements: within('button,fieldset,input,keygen,object,output,select,textarea') },
    form: {
      ...texts('name target action'), ...truths('noValidate'), acceptCharset: text('accept-charset'),
      autocomplete: word('autocomplete', ['on', 'off']), elements: within('button,fieldset,input,keygen,object,output,select,textarea'),
      enctype: word('enctype', ['application/x-www-form-urlencoded', 'multipart/form-data', 'text/plain']),
      encoding: word('enctype', ['application/x-www-form-urlencoded', 'multipart/form-data', 'text/plain']),
      length() { return this.elements().length; }, method: word('method', ['get', 'post', 'dialog']),
    },
    iframe: { ...texts('name src srcdoc'), width: text('width'), height: text('height'), allowFullscreen: truth('allowfullscreen'), referrerPolicy: text('referrerpolicy'), sandbox: words('sandbox') },
    img: { ...size, ...texts('alt name sizes src srcset'), currentSrc: text('src'), crossOrigin: text('crossorigin'), isMap: truth('ismap'), useMap: text('usemap'), longDesc: text('longdesc') },
    input: {
      ...owner, ...submitter, ...size, ...texts('accept alt autocomplete dirName max min name pattern placeholder src step'), ...truths('checked multiple readOnly required'),
      readonly: truth('readonly'), accessKey: text('accesskey'), defaultChecked: truth('checked'), defaultValue: text('value'), indeterminate: () => false, list() { const id = this.getAttribute('list'); return id === undefined ? undefined : byId(this, id); },
      maxLength: number('maxlength', -1), minLength: number('minlength', -1), size: number('size', 20),
      type: word('type', ['text', 'button', 'checkbox', 'color', 'date', 'datetime', 'datetime-local', 'email', 'file', 'hidden', 'image', 'month', 'number', 'password', 'radio', 'range', 'reset', 'search', 'submit', 'tel', 'time', 'url', 'week']),
      valueAsNumber() { return Number.parseFloat(this.value()); },
    },
    keygen: { ...truths('autofocus disabled'), ...texts('challenge keytype name'), form: owner.form, labels: owner.labels, type: () => 'keygen' },
    label: { form: owner.form, htmlFor: text('for'), control() { const id = this.getAttribute('for'); return id === undefined ? this.querySelector('button,input,meter,output,progress,select,textarea') : byId(this, id); } },
    legend: { accessKey: text('accesskey'), form: owner.form, value: text('value') },
    li: { value: number('value'), type: text('type') },
    link: { ...texts('crossOrigin href hreflang media rel target type as sizes'), referrerPolicy: text('referrerpolicy'), relList: words('rel') },
    map: { name: text('name'), areas: within('area'), images() { return this.ownerDocument().querySelectorAll(`img[usemap="#${this.name().replace(/["\\]/g, '\\$&')}"]`); } },
    meta: { ...texts('content name'), httpEquiv: text('http-equiv') },
    meter: { min: real('min', 0), max: real('max', 1), low: real('low', 0), high: real('high', 1), optimum: real('optimum', 0.5), value: real('value', 0), labels: owner.labels },
    object: { ...texts('data name type'), width: text('width'), height: text('height'), form: owner.form, typeMustMatch: truth('typemustmatch'), useMap: text('usemap') },
    ol: { reversed: truth('reversed'), start: number('start', 1), type: text('type') },
    optgroup: { disabled: truth('disabled'), label: text('label') },
    option: {
      value: owner.value, disabled: truth('disabled'), selected: truth('selected'), defaultSelected: truth('selected'), text() { return this.textContent().trim(); },
      label() { return this.getAttribute('label') ?? this.text(); }, form() { return ancestor('select').call(this)?.form(); },
      index() { return ancestor('select').call(this)?.options().findIndex((e) => e.isSameNode(this)) ?? 0; },
    },
    output: { ...owner, name: text('name'), htmlFor: words('for'), type: () => 'output', defaultValue() { return this.textContent(); } },
    param: texts('name value'),
    pre: { name: text('name'), value: text('value') },
    progress: { max: real('max', 1), value: real('value', 0), labels: owner.labels, position() { return this.hasAttribute('value') ? this.value() / this.max() : -1; } },
    q: texts('cite'),
    blockquote: texts('cite'),
    script: { ...texts('charset crossOrigin src type integrity'), ...truths('async defer noModule'), text() { return this.textContent(); } },
    select: {
      ...owner, ...options, ...truths('autofocus disabled multiple required'), name: text('name'), type() { return this.multiple() ? 'select-multiple' : 'select-one'; },
      selectedOptions() {
        const selected = this.options().filter((e) => e.selected());
        if (this.multiple()) return selected;
        const chosen = selected.at(-1) ?? this.options().find((e) => !e.disabled());
        return chosen === undefined ? [] : [chosen];
      },
      selectedIndex() { const [chosen] = this.selectedOptions(); return chosen === undefined ? -1 : this.options().findIndex((e) => e.isSameNode(chosen)); },
      size() { return number('size').call(this) || (this.multiple() ? 4 : 1); },
    },
    source: { ...texts('media sizes src srcset type'), keySystem: text('keysystem') },
    style: { ...texts('media type'), disabled: truth('disabled') },
    table: {
      caption: first('caption'), tHead: first('thead'), tFoot: first('tfoot'), tBodies: within('tbody'), rows() { return rowsOf(this); }, sortable: truth('sortable'),
    },
    tbody: section,
    tfoot: section,
    thead: section,
    td: cell,
    th: { ...cell, ...texts('abbr sorted'), scope: word('scope', ['', 'row', 'col', 'colgroup', 'rowgroup']) },
    col: { span: number('span', 1) },
    colgroup: { span: number('span', 1) },
    tr: {
      cells() { return this.children().filter((e) => ['td', 'th'].includes(e.nodeName())); },
      rowIndex() { const table = ancestor('table').call(this); return table === undefined ? -1 : rowsOf(table).findIndex((e) => e.isSameNode(this)); },
      sectionRowIndex() { return this.parentElement()?.children().filter((e) => e.nodeName() === 'tr').findIndex((e) => e.isSameNode(this)) ?? -1; },
    },
    textarea: {
      ...owner, ...texts('autocomplete dirName name placeholder wrap'), ...truths('autofocus disabled readOnly required'), readonly: truth('readonly'), accessKey: text('accesskey'), cols: number('cols', 20), rows: number('rows', 2),
      maxLength: number('maxlength', -1), minLength: number('minlength', -1), type: () => 'textarea', defaultValue() { return this.textContent(); }, length() { return this.value().length; },
    },
    time: { dateTime() { return this.getAttribute('datetime') ?? this.textContent(); }, datetime() { return this.dateTime(); } },
    title: { text() { return this.textContent(); } },
    track: { ...texts('label src srclang'), default: truth('default'), kind: word('kind', ['subtitles', 'captions', 'chapters', 'descriptions', 'metadata']), srcLang: text('srclang') },
    ul: { compact: truth('compact'), type: text('type') },
    video: { ...media, ...size, poster: text('poster') },
  };

  // Listed are a name and a value, the rest can be asked for.
  class Attribute {
    #namespace;
    #prefix;
    constructor(name, value, ownerElement, namespace, prefix) {
      this.name = name;
      this.value = value;
      Object.defineProperty(this, 'ownerElement', { value: ownerElement });
      this.#namespace = namespace;
      this.#prefix = prefix;
    }
    localName() { return this.name; }
    namespaceURI() { return this.#namespace; }
    prefix() { return this.#prefix; }
  }
  const attribute = (...of) => new Attribute(...of);

  const made = new Map();
  const kind = (name) => {
    if (!Object.hasOwn(kinds, name)) return undefined;
    let prototype = made.get(name);
    if (prototype === undefined) {
      prototype = Object.assign(Object.create(Element), kinds[name]);
      made.set(name, prototype);
    }
    return prototype;
  };
  return { kind, attribute };
})
