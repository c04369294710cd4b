use std::mem;

use wasmtime::{Engine, Instance, Memory, Store, StoreContextMut, TypedFunc, UpdateDeadline};

use super::state::CallState;
use super::wire::Verb;
use crate::image::Image;

/// An instance of an image with the exports of the guest contract, and the state of the call that it serves.
pub(crate) struct Guest {
    store: Store<CallState>,
    instance: Instance,
    memory: Memory,
    /// What the limits counted when the instance was made: linear memory and tables, in bytes.
    initial: (u64, u64),
    alloc: TypedFunc<u32, u32>,
    /// Looked up at first use, one place per verb.
    verbs: [Option<TypedFunc<(u32, u32), i64>>; Verb::COUNT],
}

impl Guest {
    /// Makes a fresh instance for a call. The state comes back when there can be none.
    pub(crate) fn instantiate(image: &Image, state: CallState) -> Result<Self, (wasmtime::Error, Box<CallState>)> {
        Self::instantiate_with(image.engine(), state, |store| image.instantiate(store))
    }

    /// Makes a fresh instance in a way of the caller's. The state comes back when there can be none.
    pub(crate) fn instantiate_with(
        engine: &Engine,
        state: CallState,
        instantiate: impl FnOnce(&mut Store<CallState>) -> wasmtime::Result<Instance>,
    ) -> Result<Self, (wasmtime::Error, Box<CallState>)> {
        let mut store = guarded_store(engine, state);
        match instantiate(&mut store).and_then(|instance| Self::parts(instance, &mut store)) {
            Ok((instance, memory, alloc)) => {
                let linear = memory.data_size(&store) as u64;
                let initial = (linear, store.data().memory.in_use() - linear);
                Ok(Self { store, instance, memory, initial, alloc, verbs: Default::default() })
            }
            Err(error) => Err((error, Box::new(store.into_data()))),
        }
    }

    fn parts(
        instance: Instance,
        store: &mut Store<CallState>,
    ) -> wasmtime::Result<(Instance, Memory, TypedFunc<u32, u32>)> {
        let missing = || wasmtime::Error::msg("the guest exports no memory");
        let memory = instance.get_memory(&mut *store, "memory").ok_or_else(missing)?;
        let alloc = instance.get_typed_func(&mut *store, "gs_alloc")?;
        Ok((instance, memory, alloc))
    }

    /// Serves another call from here on. Its state comes back when its limit is below what the instance has.
    pub(crate) fn serve(&mut self, mut state: CallState) -> Result<(), Box<CallState>> {
        let (linear, tables) = self.initial;
        if !state.memory.take(linear) || !state.memory.take(tables) {
            return Err(Box::new(state));
        }
        *self.store.data_mut() = state;
        self.store.set_epoch_deadline(1);
        Ok(())
    }

    /// Hands a request to a verb; returns the packed place of the reply, or nothing when there was no room.
    pub(crate) fn enter(&mut self, verb: Verb, request: &[u8]) -> wasmtime::Result<Option<i64>> {
        let Ok(length) = u32::try_from(request.len()) else { return Ok(None) };
        let pointer = self.alloc.call(&mut self.store, length)?;
        if pointer == 0 || self.memory.write(&mut self.store, pointer as usize, request).is_err() {
            return Ok(None);
        }
        let function = match &self.verbs[verb as usize] {
            Some(function) => function,
            None => {
                let found = self.instance.get_typed_func(&mut self.store, verb.export())?;
                self.verbs[verb as usize].insert(found)
            }
        };
        match function.call(&mut self.store, (pointer, length)) {
            Ok(packed) => Ok(Some(packed)),
            // A guest that cannot unwind has handed over its reply from where it was; a stop that came first counts.
            Err(error) => self.store.data().last_reply().map(Some).ok_or(error),
        }
    }

    /// Returns the memory beside the state.
    pub(crate) fn memory_and_state(&mut self) -> (&[u8], &mut CallState) {
        let (memory, state) = self.memory.data_and_store_mut(&mut self.store);
        (memory, state)
    }

    /// Returns the store beside the instance in it.
    pub(crate) fn store_and_instance(&mut self) -> (&mut Store<CallState>, Instance) {
        (&mut self.store, self.instance)
    }

    /// Returns the memory.
    pub(crate) fn memory(&self) -> &[u8] {
        self.memory.data(&self.store)
    }

    /// Returns the memory for writing.
    pub(crate) fn memory_mut(&mut self) -> &mut [u8] {
        self.memory.data_mut(&mut self.store)
    }

    /// Returns the state of the call.
    pub(crate) fn state(&mut self) -> &mut CallState {
        self.store.data_mut()
    }

    /// Returns the state of the call, after which the guest serves none.
    pub(crate) fn take_state(&mut self) -> CallState {
        mem::replace(self.store.data_mut(), CallState::of_none())
    }

    /// Drops the instance and returns the state of the call.
    pub(crate) fn into_state(self) -> CallState {
        self.store.into_data()
    }
}

/// Returns a store whose guest is held to the limits in its state.
pub(crate) fn guarded_store(engine: &Engine, state: CallState) -> Store<CallState> {
    let mut store = Store::new(engine, state);
    store.limiter(|state| &mut state.memory);
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(|mut context: StoreContextMut<'_, CallState>| {
        context.data_mut().check_clock()?;
        Ok(UpdateDeadline::Continue(1))
    });
    store
}
