// Names and labels as Prometheus allows them: what callers give is made to fit, never refused.

enum PrometheusName {
    /// A metric name, `[a-zA-Z_:][a-zA-Z0-9_:]*`; what does not fit becomes an underscore. Colons are left to recording
    /// rules, as Prometheus asks.
    static func metric(_ name: String) -> String { fitted(name) }

    /// A label name, `[a-zA-Z_][a-zA-Z0-9_]*`. A leading `__` and the names `le` and `quantile` belong to Prometheus.
    static func label(_ name: String) -> String {
        let fitted = fitted(name)
        if fitted == "le" || fitted == "quantile" { return fitted + "_" }
        guard fitted.hasPrefix("__") else { return fitted }
        let stripped = fitted.drop { $0 == "_" }
        return "_" + stripped
    }

    private static func fitted(_ name: String) -> String {
        if let first = name.utf8.first, !first.isDigit, name.utf8.allSatisfy(\.isNameByte) { return name }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(name.utf8.count + 1)
        for scalar in name.unicodeScalars {
            let byte = UInt8(ascii: scalar)
            if byte.isDigit, bytes.isEmpty { bytes.append(UInt8(ascii: "_")) }
            bytes.append(byte.isDigit || byte.isLetter ? byte : UInt8(ascii: "_"))
        }
        return bytes.isEmpty ? "_" : String(decoding: bytes, as: UTF8.self)
    }
}

extension UInt8 {
    /// The byte of an ASCII scalar; an underscore for any other.
    fileprivate init(ascii scalar: Unicode.Scalar) {
        self = scalar.isASCII ? UInt8(truncatingIfNeeded: scalar.value) : UInt8(0x5F)
    }

    fileprivate var isDigit: Bool { (0x30...0x39).contains(self) }
    fileprivate var isLetter: Bool { (0x61...0x7A).contains(self | 0x20) }
    fileprivate var isNameByte: Bool { isLetter || isDigit || self == UInt8(ascii: "_") }
}
