// RFC 3492: Unicode labels as letters, digits and hyphens.

enum Punycode {
    private static let base = 36
    private static let tMin = 1
    private static let tMax = 26
    private static let skew = 38
    private static let damp = 700
    private static let initialBias = 72
    private static let initialN = 0x80

    /// Longest input in code points; a DNS label has at most 63 octets, and encoding is quadratic.
    private static let maximumLength = 256

    /// The encoded form without the `xn--` prefix; nil when the input is too long.
    static func encode(_ scalars: some Collection<Unicode.Scalar>) -> [UInt8]? {
        guard scalars.count <= maximumLength else { return nil }
        let input = scalars.map { Int($0.value) }
        var output = input.filter { $0 < initialN }.map { UInt8($0) }
        let basicCount = output.count
        if basicCount > 0 { output.append(.dash) }

        var n = initialN
        var delta = 0
        var bias = initialBias
        var handled = basicCount
        while handled < input.count {
            // `handled < count` means some code point is still >= n.
            let next = input.reduce(Int.max) { $1 >= n && $1 < $0 ? $1 : $0 }
            delta += (next - n) * (handled + 1)
            n = next
            for codePoint in input {
                if codePoint < n { delta += 1 }
                guard codePoint == n else { continue }
                var q = delta
                var k = base
                while true {
                    let t = threshold(k, bias)
                    if q < t { break }
                    output.append(digit(t + (q - t) % (base - t)))
                    q = (q - t) / (base - t)
                    k += base
                }
                output.append(digit(q))
                bias = adapt(delta, count: handled + 1, first: handled == basicCount)
                delta = 0
                handled += 1
            }
            delta += 1
            n += 1
        }
        return output
    }

    /// Decodes a label without its `xn--` prefix; nil when it is not Punycode.
    static func decode(_ label: some Collection<UInt8>) -> [Unicode.Scalar]? {
        guard label.count <= maximumLength, label.isASCII else { return nil }
        let bytes = Array(label)
        var output: [Unicode.Scalar] = []
        var index = 0
        if let delimiter = bytes.lastIndex(of: .dash) {
            output = bytes[..<delimiter].map { Unicode.Scalar($0) }
            index = delimiter + 1
        }
        var n = initialN
        var i = 0
        var bias = initialBias
        while index < bytes.count {
            let previous = i
            var weight = 1
            var k = base
            while true {
                guard index < bytes.count, let value = value(of: bytes[index]) else { return nil }
                index += 1
                i += value * weight
                let t = threshold(k, bias)
                if value < t { break }
                weight *= base - t
                // Any valid delta is below 0x110000 * 257: anything near 2^40 is garbage, and cannot overflow.
                guard i < 1 << 40, weight < 1 << 40 else { return nil }
                k += base
            }
            let count = output.count + 1
            bias = adapt(i - previous, count: count, first: previous == 0)
            n += i / count
            i %= count
            guard n <= 0x10FFFF, let scalar = Unicode.Scalar(UInt32(n)) else { return nil }
            output.insert(scalar, at: i)
            i += 1
        }
        return output
    }

    private static func threshold(_ k: Int, _ bias: Int) -> Int {
        min(max(k - bias, tMin), tMax)
    }

    private static func adapt(_ delta: Int, count: Int, first: Bool) -> Int {
        var delta = first ? delta / damp : delta / 2
        delta += delta / count
        var k = 0
        while delta > (base - tMin) * tMax / 2 {
            delta /= base - tMin
            k += base
        }
        return k + (base - tMin + 1) * delta / (delta + skew)
    }

    private static func digit(_ value: Int) -> UInt8 {
        UInt8(value < 26 ? value + 0x61 : value - 26 + 0x30)
    }

    private static func value(of byte: UInt8) -> Int? {
        if byte.isLetter { return Int(byte.asciiLowercased) - 0x61 }
        if byte.isDigit { return Int(byte) - 0x30 + 26 }
        return nil
    }
}
