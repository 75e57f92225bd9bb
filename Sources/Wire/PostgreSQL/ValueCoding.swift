// Values on the wire, in PostgreSQL's binary form: numbers in network order, texts and bytes as they are.

import CPQ
import SQL

/// Type numbers that never change (`pg_type.dat`).
enum TypeNumber {
    static let unknown: Oid = 0
    static let bool: Oid = 16
    static let bytea: Oid = 17
    static let name: Oid = 19
    static let int8: Oid = 20
    static let int2: Oid = 21
    static let int4: Oid = 23
    static let text: Oid = 25
    static let oid: Oid = 26
    static let float4: Oid = 700
    static let float8: Oid = 701
    static let char: Oid = 1042
    static let varchar: Oid = 1043
    static let numeric: Oid = 1700

    /// The type that a value is sent as; a number is an `int8` everywhere, which the server narrows for a smaller column.
    static func of(_ value: SQLValue) -> Oid {
        switch value {
        case .null: unknown
        case .integer: int8
        case .real: float8
        case .text: text
        case .blob: bytea
        }
    }
}

/// A statement's values in one piece of memory, used again from statement to statement.
struct Parameters {
    private var bytes: [UInt8] = []
    private var offsets: [Int] = []
    private var lengths: [Int32] = []
    private var formats: [Int32] = []

    var size: Int { bytes.count }

    /// - Parameter isQuestion: a NUL in a text makes it one that no row can hold, instead of an error.
    mutating func fill(_ values: [SQLValue], isQuestion: Bool) throws(SQLError) {
        bytes.removeAll(keepingCapacity: bytes.capacity <= 1 << 20)
        offsets.removeAll(keepingCapacity: true)
        lengths.removeAll(keepingCapacity: true)
        while formats.count < values.count { formats.append(1) }
        for value in values {
            let start = bytes.count
            switch value {
            case .null: break
            case .integer(let number): append(UInt64(bitPattern: number))
            case .real(let number): append(number.bitPattern)
            case .text(let text): try append(text, isQuestion: isQuestion)
            case .blob(let blob): bytes.append(contentsOf: blob)
            }
            offsets.append(value == .null ? -1 : start)
            lengths.append(Int32(clamping: bytes.count - start))
        }
        // An address for values of no length.
        bytes.append(0)
    }

    func withPointers<Result>(
        _ body: (
            _ values: UnsafePointer<UnsafePointer<CChar>?>?, _ lengths: UnsafePointer<Int32>?,
            _ formats: UnsafePointer<Int32>?
        ) -> Result
    ) -> Result {
        bytes.withUnsafeBytes { raw in
            let base = raw.assumingMemoryBound(to: CChar.self).baseAddress
            let pointers = offsets.map { offset in offset < 0 ? nil : base.map { $0 + offset } }
            return pointers.withUnsafeBufferPointer { values in
                lengths.withUnsafeBufferPointer { lengths in
                    formats.withUnsafeBufferPointer { formats in
                        body(values.baseAddress, lengths.baseAddress, formats.baseAddress)
                    }
                }
            }
        }
    }

    private mutating func append(_ number: UInt64) {
        withUnsafeBytes(of: number.bigEndian) { bytes.append(contentsOf: $0) }
    }

    private mutating func append(_ text: String, isQuestion: Bool) throws(SQLError) {
        let start = bytes.count
        bytes.append(contentsOf: text.utf8)
        guard bytes[start...].contains(0) else { return }
        guard isQuestion else {
            throw SQLError(.failure, "a text holds a NUL character, which PostgreSQL does not store")
        }
        bytes.replaceSubrange(start..., with: text.replacing("\0", with: "\u{FFFF}").utf8)
    }
}

extension SQLValue {
    /// - Parameter type: the column's type number.
    init(_ bytes: UnsafeRawBufferPointer, type: Oid) throws(SQLError) {
        switch type {
        case TypeNumber.int8: self = .integer(Int64(bitPattern: try Self.number(bytes, 8)))
        case TypeNumber.int4: self = .integer(Int64(Int32(truncatingIfNeeded: try Self.number(bytes, 4))))
        case TypeNumber.int2: self = .integer(Int64(Int16(truncatingIfNeeded: try Self.number(bytes, 2))))
        case TypeNumber.oid: self = .integer(Int64(try Self.number(bytes, 4)))
        case TypeNumber.bool: self = .integer(Int64(try Self.number(bytes, 1)))
        case TypeNumber.float8: self = .real(Double(bitPattern: try Self.number(bytes, 8)))
        case TypeNumber.float4:
            self = .real(Double(Float(bitPattern: UInt32(truncatingIfNeeded: try Self.number(bytes, 4)))))
        case TypeNumber.text, TypeNumber.varchar, TypeNumber.name, TypeNumber.char, TypeNumber.unknown, 705:
            self = .text(String(decoding: bytes, as: UTF8.self))
        case TypeNumber.bytea: self = .blob([UInt8](bytes))
        case TypeNumber.numeric: self = try Self.numeric(bytes)
        default: throw SQLError(.unexpectedValue, "a column has the type number \(type), which no repository uses")
        }
    }

    private static func number(_ bytes: UnsafeRawBufferPointer, _ count: Int) throws(SQLError) -> UInt64 {
        guard bytes.count == count else { throw SQLError(.unexpectedValue, "a number has \(bytes.count) bytes") }
        return bytes.reduce(0) { $0 << 8 | UInt64($1) }
    }

    /// Sums of `BIGINT` are numerics: digits to the base 10,000. A whole number that fits is an integer.
    private static func numeric(_ bytes: UnsafeRawBufferPointer) throws(SQLError) -> SQLValue {
        func word(_ index: Int) -> Int { Int(bytes[2 * index]) << 8 | Int(bytes[2 * index + 1]) }
        guard bytes.count >= 8, bytes.count == 8 + 2 * word(0) else {
            throw SQLError(.unexpectedValue, "a number cannot be read")
        }
        let (count, weight, sign) = (word(0), Int(Int16(truncatingIfNeeded: word(1))), word(2))
        guard sign == 0 || sign == 0x4000 else { return .real(.nan) }
        let negative = sign == 0x4000
        if count <= weight + 1, weight < 5 {
            var whole: Int64 = 0
            var fits = true
            for index in 0..<max(weight + 1, 0) {
                let (product, overflow) = whole.multipliedReportingOverflow(by: 10_000)
                let (sum, carry) = product.subtractingReportingOverflow(index < count ? Int64(word(4 + index)) : 0)
                whole = sum
                fits = fits && !overflow && !carry
            }
            if fits, negative || whole != .min { return .integer(negative ? whole : -whole) }
        }
        var value = 0.0
        var scale = 1.0
        for _ in 0..<abs(weight) { scale = weight > 0 ? scale * 10_000 : scale / 10_000 }
        for index in 0..<count {
            value += Double(word(4 + index)) * scale
            scale /= 10_000
        }
        return .real(negative ? -value : value)
    }
}
