;; A guest for tests: it keeps the guest contract and does, for each call, what the first letter of its source says.
;; Where a letter replies, the rest of the source is the raw reply (kind, flags, message length, message, payload),
;; unless said otherwise. The compiled form of a source is the source itself; where its first letter is P, preparing
;; does what the rest says, and its reply's payload is the compiled form.
(module
  (import "greensand" "write" (func $write (param i32 i32 i32)))
  (import "greensand" "clock" (func $clock (result i64)))
  (import "greensand" "sleep" (func $sleep (param i64)))
  (import "greensand" "random" (func $random (param i32 i32)))
  (import "greensand" "module_size" (func $module_size (param i32 i32) (result i32)))
  (import "greensand" "module_read" (func $module_read (param i32 i32 i32)))
  (import "greensand" "refused" (func $refused (param i32 i32)))
  (import "env" "open" (func $open (param i32) (result i32)))

  (memory (export "memory") 2)
  (table 1 funcref)
  (type $nothing (func))
  (global $next (mut i32) (i32.const 8192))
  (global $i64 (mut i64) (i64.const 11))
  (global $f32 (mut f32) (f32.const nan:0x200001))
  (global $f64 (mut f64) (f64.const -0.0))
  (global $v128 (mut v128) (v128.const i64x2 12 13))

  ;; 0..12 is the header of a reply that returned; its payload follows. 4000: how often a call ran. 4004: the start.
  (func (export "gs_init")
    (call $write (i32.const 1) (i32.const 0) (i32.const 12))
    (call $sleep (i64.const 1000000000))
    (i64.store (i32.const 4008) (call $clock))
    (call $random (i32.const 4016) (i32.const 8))
    (i32.store (i32.const 4004) (i32.const 7)))

  (func $alloc (export "gs_alloc") (param $length i32) (result i32)
    (local $start i32)
    (local.set $start (global.get $next))
    (global.set $next (i32.add (local.get $start) (local.get $length)))
    (if (i32.gt_u (global.get $next) (i32.mul (memory.size) (i32.const 65536)))
      (then
        (if (i32.eq (i32.const -1)
              (memory.grow (i32.add (i32.const 1) (i32.div_u (local.get $length) (i32.const 65536)))))
          (then (return (i32.const 0))))))
    (local.get $start))

  (func $pack (param $pointer i32) (param $length i32) (result i64)
    (i64.or (i64.shl (i64.extend_i32_u (local.get $pointer)) (i64.const 32))
            (i64.extend_i32_u (local.get $length))))

  ;; Replies with eight bytes as a JSON string of hex digits.
  (func $reply_hex (param $value i64) (result i64)
    (local $index i32) (local $digit i32)
    (i32.store8 (i32.const 12) (i32.const 34))
    (loop $digits
      (local.set $digit (i32.and (i32.const 15) (i32.wrap_i64
        (i64.shr_u (local.get $value) (i64.extend_i32_u (i32.sub (i32.const 60) (i32.mul (i32.const 4) (local.get $index))))))))
      (i32.store8 offset=13 (local.get $index)
        (i32.add (local.get $digit) (select (i32.const 48) (i32.const 87) (i32.lt_u (local.get $digit) (i32.const 10)))))
      (local.set $index (i32.add (local.get $index) (i32.const 1)))
      (br_if $digits (i32.lt_u (local.get $index) (i32.const 16))))
    (i32.store8 (i32.const 29) (i32.const 34))
    (call $pack (i32.const 0) (i32.const 30)))

  (func $reply_bytes (param $pointer i32) (param $length i32) (result i64)
    (local $reply i32)
    (local.set $reply (call $alloc (i32.add (local.get $length) (i32.const 12))))
    (memory.copy (i32.add (local.get $reply) (i32.const 12)) (local.get $pointer) (local.get $length))
    (call $pack (local.get $reply) (i32.add (local.get $length) (i32.const 12))))

  (func $recurse (param $depth i32) (result i32)
    (i32.add (i32.const 1) (call $recurse (i32.add (local.get $depth) (i32.const 1)))))

  (func $do (export "gs_invoke") (export "gs_run") (export "gs_describe")
    (param $request i32) (param $length i32) (result i64)
    (local $letter i32) (local $rest i32) (local $rest_length i32) (local $arguments i32) (local $module i32)
    (local.set $letter (i32.load8_u offset=32 (local.get $request)))
    (local.set $rest (i32.add (local.get $request) (i32.const 33)))
    (local.set $rest_length (i32.sub (i32.load offset=12 (local.get $request)) (i32.const 1)))
    (local.set $arguments (i32.add (i32.const 32) (i32.add (local.get $request)
      (i32.add (i32.load offset=12 (local.get $request)) (i32.load offset=16 (local.get $request))))))

    ;; P: returns the number 15: it was not prepared.
    (if (i32.eq (local.get $letter) (i32.const 0x50)) (then (return (call $reply_hex (i64.const 15)))))
    ;; r: replies.
    (if (i32.eq (local.get $letter) (i32.const 0x72))
      (then (return (call $pack (local.get $rest) (local.get $rest_length)))))
    ;; a: returns the arguments.
    (if (i32.eq (local.get $letter) (i32.const 0x61))
      (then (return (call $reply_bytes (local.get $arguments) (i32.load offset=20 (local.get $request))))))
    ;; x, y, z: replies that lie outside of the memory, across its end, and nowhere.
    (if (i32.eq (local.get $letter) (i32.const 0x78)) (then (return (i64.const -1))))
    (if (i32.eq (local.get $letter) (i32.const 0x79))
      (then (return (call $pack (i32.sub (i32.mul (memory.size) (i32.const 65536)) (i32.const 4)) (i32.const 12)))))
    (if (i32.eq (local.get $letter) (i32.const 0x7a)) (then (return (i64.const 0))))
    ;; l: loops for ever.
    (if (i32.eq (local.get $letter) (i32.const 0x6c)) (then (loop $for_ever (br $for_ever))))
    ;; m: grows until that is refused, then replies. M: then ends the instance.
    (if (i32.or (i32.eq (local.get $letter) (i32.const 0x6d)) (i32.eq (local.get $letter) (i32.const 0x4d)))
      (then
        (loop $grow (br_if $grow (i32.ne (i32.const -1) (memory.grow (i32.const 16)))))
        (if (i32.eq (local.get $letter) (i32.const 0x4d)) (then (unreachable)))
        (return (call $pack (local.get $rest) (local.get $rest_length)))))
    ;; w, W: writes the rest to standard output, or error, for ever.
    (if (i32.eq (local.get $letter) (i32.const 0x77))
      (then (loop $flood (call $write (i32.const 1) (local.get $rest) (local.get $rest_length)) (br $flood))))
    (if (i32.eq (local.get $letter) (i32.const 0x57))
      (then (loop $flood (call $write (i32.const 2) (local.get $rest) (local.get $rest_length)) (br $flood))))
    ;; e: writes the rest to both once and returns the arguments.
    (if (i32.eq (local.get $letter) (i32.const 0x65))
      (then
        (call $write (i32.const 1) (local.get $rest) (local.get $rest_length))
        (call $write (i32.const 2) (local.get $rest) (local.get $rest_length))
        (return (call $reply_bytes (local.get $arguments) (i32.load offset=20 (local.get $request))))))
    ;; o: hands a range outside of its memory to the host.
    (if (i32.eq (local.get $letter) (i32.const 0x6f))
      (then (call $write (i32.const 1) (i32.const -1) (i32.const 100))))
    ;; s: sleeps an hour. S: sleeps a second, and returns the clock.
    (if (i32.eq (local.get $letter) (i32.const 0x73)) (then (call $sleep (i64.const 3600000000000))))
    (if (i32.eq (local.get $letter) (i32.const 0x53))
      (then (call $sleep (i64.const 1000000000)) (return (call $reply_hex (call $clock)))))
    ;; d: calls what the host does not offer.
    (if (i32.eq (local.get $letter) (i32.const 0x64)) (then (drop (call $open (i32.const 0)))))
    ;; D: tells that the network was refused, and replies.
    (if (i32.eq (local.get $letter) (i32.const 0x44))
      (then
        (i64.store (i32.const 16) (i64.const 0x6b726f7774656e)) ;; "network"
        (call $refused (i32.const 16) (i32.const 7))
        (return (call $pack (local.get $rest) (local.get $rest_length)))))
    ;; k: recurses for ever. u: ends the instance. v: divides by zero. i: calls nothing.
    (if (i32.eq (local.get $letter) (i32.const 0x6b)) (then (drop (call $recurse (i32.const 0)))))
    (if (i32.eq (local.get $letter) (i32.const 0x75)) (then (unreachable)))
    (if (i32.eq (local.get $letter) (i32.const 0x76))
      (then (drop (i32.div_u (i32.const 1) (i32.load (i32.const 4))))))
    (if (i32.eq (local.get $letter) (i32.const 0x69)) (then (call_indirect (type $nothing) (i32.const 0))))
    ;; f: overwrites its whole memory. g: changes every global, and returns what the second was. G: grows by a page.
    (if (i32.eq (local.get $letter) (i32.const 0x66))
      (then
        (memory.fill (i32.const 0) (i32.const 0xab) (i32.mul (memory.size) (i32.const 65536)))
        (memory.fill (i32.const 0) (i32.const 0) (i32.const 12))
        (return (call $reply_hex (i64.const 1)))))
    (if (i32.eq (local.get $letter) (i32.const 0x67))
      (then
        (i64.store (i32.const 16) (global.get $i64))
        (global.set $next (i32.const 9001))
        (global.set $i64 (i64.const -1))
        (global.set $f32 (f32.const 1))
        (global.set $f64 (f64.const 0.0))
        (global.set $v128 (v128.const i64x2 0 0))
        (return (call $reply_hex (i64.load (i32.const 16))))))
    (if (i32.eq (local.get $letter) (i32.const 0x47))
      (then (drop (memory.grow (i32.const 1))) (return (call $reply_hex (i64.const 1)))))
    ;; n: returns eight random bytes. N: fills everything it has with random bytes, for ever.
    (if (i32.eq (local.get $letter) (i32.const 0x6e))
      (then (call $random (i32.const 16) (i32.const 8)) (return (call $reply_hex (i64.load (i32.const 16))))))
    (if (i32.eq (local.get $letter) (i32.const 0x4e))
      (then
        (drop (memory.grow (i32.const 15000)))
        (loop $fill
          (call $random (i32.const 16) (i32.sub (i32.mul (memory.size) (i32.const 65536)) (i32.const 16)))
          (br $fill))))
    ;; c: returns how often this instance was called. C, t, q: what its start left: a number, a time, random bytes.
    (if (i32.eq (local.get $letter) (i32.const 0x63))
      (then
        (i32.store (i32.const 4000) (i32.add (i32.const 1) (i32.load (i32.const 4000))))
        (return (call $reply_hex (i64.load32_u (i32.const 4000))))))
    (if (i32.eq (local.get $letter) (i32.const 0x43)) (then (return (call $reply_hex (i64.load32_u (i32.const 4004))))))
    (if (i32.eq (local.get $letter) (i32.const 0x74)) (then (return (call $reply_hex (i64.load (i32.const 4008))))))
    (if (i32.eq (local.get $letter) (i32.const 0x71)) (then (return (call $reply_hex (i64.load (i32.const 4016))))))
    ;; L: returns the library module that the rest names; the module holds JSON.
    (if (i32.eq (local.get $letter) (i32.const 0x4c))
      (then
        (local.set $length (call $module_size (local.get $rest) (local.get $rest_length)))
        (if (i32.lt_s (local.get $length) (i32.const 0)) (then (return (call $reply_hex (i64.const -1)))))
        (local.set $module (call $alloc (local.get $length)))
        (call $module_read (local.get $rest) (local.get $rest_length) (local.get $module))
        (return (call $reply_bytes (local.get $module) (local.get $length)))))
    (unreachable))

  (func (export "gs_prepare") (param $request i32) (param $length i32) (result i64)
    (local $shorter i32)
    (if (i32.ne (i32.load8_u offset=32 (local.get $request)) (i32.const 0x50))
      (then (return (call $reply_bytes (i32.add (local.get $request) (i32.const 32))
        (i32.load offset=12 (local.get $request))))))
    ;; The request without the P: its header moves up by one.
    (local.set $shorter (i32.add (local.get $request) (i32.const 1)))
    (memory.copy (local.get $shorter) (local.get $request) (i32.const 32))
    (i32.store offset=12 (local.get $shorter) (i32.sub (i32.load offset=12 (local.get $shorter)) (i32.const 1)))
    (call $do (local.get $shorter) (i32.sub (local.get $length) (i32.const 1)))))
