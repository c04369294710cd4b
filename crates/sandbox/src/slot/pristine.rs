use wasmtime::{Linker, Memory, Module, Store, Val};

/// An instance of an image that nobody ever enters: what every instance that is used again must equal.
///
/// Its pages are those of the image itself, which all mappings share, so that it takes next to no memory. None of its
/// imports exists, and it is reached for reading only, from every thread.
pub(crate) struct Pristine {
    store: Store<()>,
    memory: Memory,
    globals: Vec<Val>,
}

impl Pristine {
    /// Makes the instance; the module has so many mutable globals.
    ///
    /// # Errors
    /// When there is no room for one more instance, or the module is not what was checked.
    pub(crate) fn new(module: &Module, globals: u32) -> wasmtime::Result<Self> {
        let mut store = Store::new(module.engine(), ());
        let mut linker = Linker::new(module.engine());
        linker.define_unknown_imports_as_traps(module)?;
        let instance = linker.instantiate(&mut store, module)?;
        let missing = || wasmtime::Error::msg("the guest exports no memory");
        let memory = instance.get_memory(&mut store, "memory").ok_or_else(missing)?;
        let globals = super::restore::find_globals(&mut store, &instance, globals)?;
        let globals = globals.iter().map(|global| global.get(&mut store)).collect();
        Ok(Self { store, memory, globals })
    }

    /// Returns the memory.
    pub(super) fn memory(&self) -> &[u8] {
        self.memory.data(&self.store)
    }

    /// Returns the values of the mutable globals.
    pub(super) fn globals(&self) -> &[Val] {
        &self.globals
    }
}
