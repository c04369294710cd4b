;; A guest for tests of what a call is granted: it keeps the guest contract and does, for each call, what the first letter
;; of its source says. The rest of the source is a name, unless said otherwise.
(module
  (import "greensand" "write" (func $write (param i32 i32 i32)))
  (import "greensand" "clock" (func $clock (result i64)))
  (import "greensand" "sleep" (func $sleep (param i64)))
  (import "greensand" "random" (func $random (param i32 i32)))
  (import "greensand" "call" (func $call (param i32 i32 i32 i32) (result i64)))
  (import "greensand" "take" (func $take (param i32)))
  (import "greensand" "file_size" (func $file_size (param i32 i32) (result i64)))
  (import "greensand" "file_read" (func $file_read (param i32 i32 i64 i32 i32) (result i32)))
  (import "greensand" "file_names" (func $file_names (result i32)))

  (memory (export "memory") 2)
  (global $next (mut i32) (i32.const 8192))

  (data (i32.const 1024) "started")

  (func (export "gs_init"))

  (func $alloc (export "gs_alloc") (param $length i32) (result i32)
    (local $start i32)
    (local.set $start (global.get $next))
    (global.set $next (i32.add (local.get $start) (local.get $length)))
    (block $done
      (loop $grow
        (br_if $done (i32.le_u (global.get $next) (i32.mul (memory.size) (i32.const 65536))))
        (if (i32.eq (i32.const -1) (memory.grow (i32.const 1))) (then (return (i32.const 0))))
        (br $grow)))
    (local.get $start))

  ;; Replies with a kind, flags, and either a message or a payload of this length, which `take` or the caller fills in.
  (func $reply (param $kind i32) (param $flags i32) (param $is_message i32) (param $length i32) (result i32)
    (local $reply i32)
    (local.set $reply (call $alloc (i32.add (local.get $length) (i32.const 12))))
    (i32.store (local.get $reply) (local.get $kind))
    (i32.store offset=4 (local.get $reply) (local.get $flags))
    (i32.store offset=8 (local.get $reply) (select (local.get $length) (i32.const 0) (local.get $is_message)))
    (local.get $reply))

  (func $pack (param $pointer i32) (param $length i32) (result i64)
    (i64.or (i64.shl (i64.extend_i32_u (local.get $pointer)) (i64.const 32))
            (i64.extend_i32_u (i32.add (local.get $length) (i32.const 12)))))

  (func $reply_bytes (param $pointer i32) (param $length i32) (result i64)
    (local $reply i32)
    (local.set $reply (call $reply (i32.const 0) (i32.const 0) (i32.const 0) (local.get $length)))
    (memory.copy (i32.add (local.get $reply) (i32.const 12)) (local.get $pointer) (local.get $length))
    (call $pack (local.get $reply) (local.get $length)))

  ;; Replies with a number as a JSON string of hex digits.
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
    (call $reply_bytes (i32.const 12) (i32.const 18)))

  (func $recurse (param $depth i32) (result i32)
    (i32.add (i32.const 1) (call $recurse (i32.add (local.get $depth) (i32.const 1)))))

  ;; Replies with what a function answered: returned, raised, or raised for a refused capability.
  (func $reply_answer (param $answer i64) (result i64)
    (local $status i32) (local $length i32) (local $reply i32)
    (local.set $status (i32.wrap_i64 (i64.shr_u (local.get $answer) (i64.const 32))))
    (local.set $length (i32.wrap_i64 (local.get $answer)))
    (local.set $reply (call $reply
      (i32.ne (local.get $status) (i32.const 0))
      (select (i32.const 2) (i32.const 0) (i32.eq (local.get $status) (i32.const 2)))
      (i32.ne (local.get $status) (i32.const 0))
      (local.get $length)))
    (call $take (i32.add (local.get $reply) (i32.const 12)))
    (call $pack (local.get $reply) (local.get $length)))

  ;; The compiled form of a source is the source.
  (func (export "gs_prepare") (param $request i32) (param $length i32) (result i64)
    (call $reply_bytes (i32.add (local.get $request) (i32.const 32)) (i32.load offset=12 (local.get $request))))

  (func $do (export "gs_invoke") (export "gs_run") (export "gs_describe")
    (param $request i32) (param $length i32) (result i64)
    (local $letter i32) (local $name i32) (local $name_length i32) (local $arguments i32) (local $arguments_length i32)
    (local $answer i64) (local $into i32)
    (local.set $letter (i32.load8_u offset=32 (local.get $request)))
    (local.set $name (i32.add (local.get $request) (i32.const 33)))
    (local.set $name_length (i32.sub (i32.load offset=12 (local.get $request)) (i32.const 1)))
    (local.set $arguments (i32.add (i32.const 32) (i32.add (local.get $request)
      (i32.add (i32.load offset=12 (local.get $request)) (i32.load offset=16 (local.get $request))))))
    (local.set $arguments_length (i32.load offset=20 (local.get $request)))

    ;; a: returns the arguments.
    (if (i32.eq (local.get $letter) (i32.const 0x61))
      (then (return (call $reply_bytes (local.get $arguments) (local.get $arguments_length)))))
    ;; c: calls the name with the arguments and replies with what it answers.
    (if (i32.eq (local.get $letter) (i32.const 0x63))
      (then (return (call $reply_answer
        (call $call (local.get $name) (local.get $name_length) (local.get $arguments) (local.get $arguments_length))))))
    ;; C: calls the name again and again until it fails, then replies with that.
    (if (i32.eq (local.get $letter) (i32.const 0x43))
      (then
        (loop $again
          (local.set $answer
            (call $call (local.get $name) (local.get $name_length) (local.get $arguments) (local.get $arguments_length)))
          (br_if $again (i64.eqz (i64.shr_u (local.get $answer) (i64.const 32)))))
        (return (call $reply_answer (local.get $answer)))))
    ;; t: calls `started`, and then the name.
    (if (i32.eq (local.get $letter) (i32.const 0x74))
      (then
        (drop (call $call (i32.const 1024) (i32.const 7) (local.get $arguments) (local.get $arguments_length)))
        (return (call $reply_answer
          (call $call (local.get $name) (local.get $name_length) (local.get $arguments) (local.get $arguments_length))))))
    ;; T: calls the name, takes nothing, and returns its clock.
    (if (i32.eq (local.get $letter) (i32.const 0x54))
      (then
        (drop (call $call (local.get $name) (local.get $name_length) (local.get $arguments) (local.get $arguments_length)))
        (return (call $reply_hex (call $clock)))))
    ;; x: calls the name with a range outside of its memory as the arguments. X: takes where there is no room.
    (if (i32.eq (local.get $letter) (i32.const 0x78))
      (then (drop (call $call (local.get $name) (local.get $name_length) (i32.const -8) (i32.const 100)))))
    (if (i32.eq (local.get $letter) (i32.const 0x58))
      (then
        (drop (call $call (local.get $name) (local.get $name_length) (local.get $arguments) (local.get $arguments_length)))
        (call $take (i32.const -1))))
    ;; b: calls the name with a text as the arguments that is no JSON.
    (if (i32.eq (local.get $letter) (i32.const 0x62))
      (then (return (call $reply_answer
        (call $call (local.get $name) (local.get $name_length) (local.get $name) (local.get $name_length))))))
    ;; p: takes what does not wait, and returns the arguments.
    (if (i32.eq (local.get $letter) (i32.const 0x70))
      (then
        (call $take (i32.const 0))
        (return (call $reply_bytes (local.get $arguments) (local.get $arguments_length)))))
    ;; n: returns eight random bytes. s: sleeps a second and returns the clock. o: writes the name, returns the arguments.
    (if (i32.eq (local.get $letter) (i32.const 0x6e))
      (then (call $random (i32.const 64) (i32.const 8)) (return (call $reply_hex (i64.load (i32.const 64))))))
    (if (i32.eq (local.get $letter) (i32.const 0x73))
      (then (call $sleep (i64.const 1000000000)) (return (call $reply_hex (call $clock)))))
    (if (i32.eq (local.get $letter) (i32.const 0x6f))
      (then
        (call $write (i32.const 1) (local.get $name) (local.get $name_length))
        (return (call $reply_bytes (local.get $arguments) (local.get $arguments_length)))))
    ;; l: loops for ever. k: recurses for ever. m: takes a MiB of memory and calls the name; M: all it can get.
    (if (i32.eq (local.get $letter) (i32.const 0x6c)) (then (loop $for_ever (br $for_ever))))
    (if (i32.eq (local.get $letter) (i32.const 0x6b)) (then (drop (call $recurse (i32.const 0)))))
    (if (i32.eq (local.get $letter) (i32.const 0x6d))
      (then
        (drop (memory.grow (i32.const 16)))
        (return (call $reply_answer
          (call $call (local.get $name) (local.get $name_length) (local.get $arguments) (local.get $arguments_length))))))
    (if (i32.eq (local.get $letter) (i32.const 0x4d))
      (then
        (loop $grow (br_if $grow (i32.ne (i32.const -1) (memory.grow (i32.const 1)))))
        (return (call $reply_hex (i64.extend_i32_u (memory.size))))))
    ;; f: returns the names of the files. z: returns the size of a file.
    (if (i32.eq (local.get $letter) (i32.const 0x66))
      (then (return (call $reply_answer (i64.extend_i32_u (call $file_names))))))
    (if (i32.eq (local.get $letter) (i32.const 0x7a))
      (then (return (call $reply_hex (call $file_size (local.get $name) (local.get $name_length))))))
    ;; F: returns a file, which holds JSON, read three bytes at a time. g: reads a file beyond its end and before its
    ;; start, and returns how much there was, both added.
    (if (i32.eq (local.get $letter) (i32.const 0x46))
      (then
        (local.set $length (i32.wrap_i64 (call $file_size (local.get $name) (local.get $name_length))))
        (local.set $into (call $reply (i32.const 0) (i32.const 0) (i32.const 0) (local.get $length)))
        (local.set $answer (i64.const 0))
        (loop $read
          (local.set $answer (i64.add (local.get $answer) (i64.extend_i32_s
            (call $file_read (local.get $name) (local.get $name_length) (local.get $answer)
              (i32.add (i32.add (local.get $into) (i32.const 12)) (i32.wrap_i64 (local.get $answer))) (i32.const 3)))))
          (br_if $read (i64.lt_s (local.get $answer) (i64.extend_i32_u (local.get $length)))))
        (return (call $pack (local.get $into) (local.get $length)))))
    (if (i32.eq (local.get $letter) (i32.const 0x67))
      (then (return (call $reply_hex (i64.add
        (i64.extend_i32_s (call $file_read (local.get $name) (local.get $name_length) (i64.const 1000) (i32.const 64) (i32.const 64)))
        (i64.extend_i32_s (call $file_read (local.get $name) (local.get $name_length) (i64.const -1) (i32.const 64) (i32.const 64))))))))
    (unreachable)))
