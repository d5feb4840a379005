const { check } = require('k6'); module.exports.default = function () { label: for (;;) { try { break label } catch { /x\/[/]/giu.test(a ?? b?.c) } finally {} } }
    at boom (file:///p/s.js:3:9)
