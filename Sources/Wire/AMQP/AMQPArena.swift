// Memory for the texts of one call into librabbitmq, which takes pointers and copies what it keeps.

internal import CRabbitMQ

/// Reused from call to call. `reset` before each, then everything handed out is good until the next `reset`.
final class AMQPArena {
    private var blocks: [UnsafeMutableRawPointer] = []
    private let first: UnsafeMutableRawBufferPointer
    private var used = 0

    init() { first = .allocate(byteCount: 8192, alignment: 16) }

    deinit {
        reset()
        first.deallocate()
    }

    func reset() {
        used = 0
        for block in blocks { block.deallocate() }
        blocks.removeAll(keepingCapacity: true)
    }

    private func allocate(_ size: Int) -> UnsafeMutableRawPointer {
        let aligned = (size + 15) & ~15
        if used + aligned <= first.count, let base = first.baseAddress {
            defer { used += aligned }
            return base + used
        }
        let block = UnsafeMutableRawPointer.allocate(byteCount: max(aligned, 16), alignment: 16)
        blocks.append(block)
        return block
    }

    func bytes(_ text: String) -> amqp_bytes_t {
        var text = text
        return text.withUTF8 { utf8 in
            let place = allocate(utf8.count)
            if let base = utf8.baseAddress { place.copyMemory(from: base, byteCount: utf8.count) }
            return amqp_bytes_t(len: utf8.count, bytes: place)
        }
    }

    func table(_ fields: [(String, AMQPField)]) -> amqp_table_t {
        let entries = entries(fields.count)
        for (index, (key, field)) in fields.enumerated() { set(entries + index, key, field) }
        return amqp_table_t(num_entries: Int32(fields.count), entries: entries)
    }

    /// Texts, and one number before them.
    func table(_ texts: [(String, String)], and key: String, _ number: Int64) -> amqp_table_t {
        let entries = entries(texts.count + 1)
        set(entries, key, .number(number))
        for (index, (key, text)) in texts.enumerated() { set(entries + index + 1, key, .text(text)) }
        return amqp_table_t(num_entries: Int32(texts.count + 1), entries: entries)
    }

    private func entries(_ count: Int) -> UnsafeMutablePointer<amqp_table_entry_t> {
        allocate(MemoryLayout<amqp_table_entry_t>.stride * count)
            .bindMemory(to: amqp_table_entry_t.self, capacity: count)
    }

    private func set(_ entry: UnsafeMutablePointer<amqp_table_entry_t>, _ key: String, _ field: AMQPField) {
        var value = amqp_field_value_t()
        switch field {
        case .text(let text):
            value.kind = UInt8(AMQP_FIELD_KIND_UTF8.rawValue)
            value.value.bytes = bytes(text)
        case .number(let number):
            value.kind = UInt8(AMQP_FIELD_KIND_I64.rawValue)
            value.value.i64 = number
        }
        entry.initialize(to: amqp_table_entry_t(key: bytes(key), value: value))
    }
}

/// A value in a table that we write.
enum AMQPField {
    case text(String)
    case number(Int64)
}

extension String {
    /// Copies librabbitmq's bytes; what is not UTF-8 is repaired.
    init(_ bytes: amqp_bytes_t) {
        self = String(decoding: UnsafeRawBufferPointer(start: bytes.bytes, count: bytes.len), as: UTF8.self)
    }

    /// One line: a peer's text, for logs and errors.
    var asOneLine: String {
        var text = ""
        for scalar in unicodeScalars.prefix(500) {
            text.unicodeScalars.append(scalar.properties.generalCategory == .control ? " " : scalar)
        }
        return text
    }
}
