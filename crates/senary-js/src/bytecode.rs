//! Modules compiled once per process. The first VU compiles from source and keeps the bytecode; all others read the
//! bytecode, which is several times faster. The bytecode contains the places for stack traces, but not the source texts
//! of functions, which exist once per process (`function_text`).

use std::ffi::CString;
use std::sync::{Arc, OnceLock};

use rquickjs::module::Declared;
use rquickjs::{Ctx, Error, Module, Value, WriteOptions, qjs};

/// Declares an ES module in this context, whose name is `name` and whose text is `code`. The first call stores its
/// bytecode in `bytecode`; later calls read it.
pub fn declare<'js>(
    ctx: &Ctx<'js>,
    name: &str,
    code: &str,
    bytecode: &OnceLock<Arc<[u8]>>,
) -> rquickjs::Result<Module<'js, Declared>> {
    if let Some(bytecode) = bytecode.get() {
        // SAFETY: the bytes were written by `Module::write` of the same engine in this process and are
        // immutable since.
        return unsafe { Module::load(ctx.clone(), bytecode) };
    }
    let module = Module::declare(ctx.clone(), name, code)?;
    let options = WriteOptions { strip_source: true, ..WriteOptions::default() };
    let _ = bytecode.set(module.write(options)?.into());
    Ok(module)
}

/// Evaluates a script (not a module) whose text is `code`, and gives back its completion value. It is strict, as it
/// is in the reference. `bytecode` is as for [`declare`]; `name` is what stack traces call the script.
pub fn evaluate_script<'js>(
    ctx: &Ctx<'js>,
    name: &str,
    code: &str,
    bytecode: &OnceLock<Arc<[u8]>>,
) -> rquickjs::Result<Value<'js>> {
    let raw = ctx.as_raw().as_ptr();
    let function = match bytecode.get() {
        // SAFETY: as in `declare`, the bytes come from `write` below; the length is theirs.
        Some(bytecode) => unsafe {
            let flags = qjs::JS_READ_OBJ_BYTECODE as i32;
            qjs::JS_ReadObject(raw, bytecode.as_ptr(), bytecode.len() as _, flags)
        },
        None => {
            let (text, name) = (CString::new(code)?, CString::new(name)?);
            let flags = qjs::JS_EVAL_TYPE_GLOBAL | qjs::JS_EVAL_FLAG_COMPILE_ONLY | qjs::JS_EVAL_FLAG_STRICT;
            // SAFETY: both texts end in a zero byte and outlive the call; the length leaves that byte out.
            unsafe {
                qjs::JS_Eval(raw, text.as_ptr(), text.as_bytes().len() as _, name.as_ptr(), flags as i32)
            }
        }
    };
    // SAFETY: the value is only looked at.
    if unsafe { qjs::JS_IsException(function) } {
        return Err(Error::Exception);
    }
    if bytecode.get().is_none()
        && let Some(bytes) = write(ctx, function)
    {
        let _ = bytecode.set(bytes);
    }
    // SAFETY: `function` is compiled code of this context, owned by us; the call takes it over.
    let result = unsafe { qjs::JS_EvalFunction(raw, function) };
    // SAFETY: the value is only looked at.
    if unsafe { qjs::JS_IsException(result) } {
        return Err(Error::Exception);
    }
    // SAFETY: the value belongs to this context, and we own the reference.
    Ok(unsafe { Value::from_raw(ctx.clone(), result) })
}

fn write(ctx: &Ctx<'_>, function: qjs::JSValue) -> Option<Arc<[u8]>> {
    let raw = ctx.as_raw().as_ptr();
    let mut length = 0;
    let flags = (qjs::JS_WRITE_OBJ_BYTECODE | qjs::JS_WRITE_OBJ_STRIP_SOURCE) as i32;
    // SAFETY: the value is live compiled code of this context; the buffer is copied before it is freed with the
    // allocator it came from.
    unsafe {
        let buffer = qjs::JS_WriteObject(raw, &mut length, function, flags);
        if buffer.is_null() {
            // This fails only if memory runs out. Then every VU compiles for itself.
            ctx.catch();
            return None;
        }
        let bytes = std::slice::from_raw_parts(buffer, length as usize).into();
        qjs::js_free(raw, buffer.cast());
        Some(bytes)
    }
}
