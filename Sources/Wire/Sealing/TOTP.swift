// Codes of a second factor that change with the time (RFC 6238, with HOTP of RFC 4226 under it).

import Crypto

/// As authenticator apps have it where nothing else is said: HMAC-SHA-1, six digits, steps of 30 seconds.
package struct TOTP: Sendable {
    /// Seconds of a step.
    package static let period: Int64 = 30
    package static let digits = 6

    private let secret: Secret<[UInt8]>

    package init(secret: Secret<[UInt8]>) { self.secret = secret }

    /// 160 bits, as RFC 4226 section 4 recommends.
    package static func random() -> TOTP { TOTP(secret: Secret(RandomToken.bytes(20))) }

    package var bytes: Secret<[UInt8]> { secret }

    /// What a person types into an app that cannot read the picture.
    package var base32: Secret<String> { Secret(Base32.encode(secret.reveal())) }

    /// The step that a time is in.
    /// - Parameter seconds: since 1970.
    package static func step(at seconds: Int64) -> Int64 {
        (seconds - (seconds % period + period) % period) / period
    }

    /// RFC 4226 section 5.3.
    package func code(step: Int64) -> Secret<String> {
        let counter = withUnsafeBytes(of: UInt64(bitPattern: step).bigEndian) { Array($0) }
        let mac = Array(
            HMAC<Insecure.SHA1>.authenticationCode(for: counter, using: SymmetricKey(data: secret.reveal())))
        let offset = Int(mac[mac.count - 1] & 15)
        let number = mac[offset..<offset + 4].reduce(UInt32(0)) { $0 << 8 | UInt32($1) } & 0x7FFF_FFFF
        let text = String(number % 1_000_000)
        return Secret(String(repeating: "0", count: Self.digits - text.utf8.count) + text)
    }

    /// Finds the step whose code this is: the present one, or the one before or after it, for clocks that are not quite right.
    /// - Parameter last: the last step whose code was used; neither it nor one before it counts again (RFC 6238 section 5.2).
    package func step(of code: Secret<String>, at seconds: Int64, after last: Int64?) -> Int64? {
        let given = Array(code.reveal().utf8)
        let present = Self.step(at: seconds)
        // All three are compared, whichever it is.
        var found: Int64?
        for step in present - 1...present + 1 where step > last ?? .min {
            if constantTimeEquals(Array(self.code(step: step).reveal().utf8), given) { found = step }
        }
        return found
    }
}

/// RFC 4648 section 6, without padding: what authenticator apps read.
package enum Base32 {
    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".utf8)

    package static func encode(_ bytes: [UInt8]) -> String {
        var text: [UInt8] = []
        text.reserveCapacity((bytes.count * 8 + 4) / 5)
        var (bits, count) = (UInt32(0), 0)
        for byte in bytes {
            bits = bits << 8 | UInt32(byte)
            count += 8
            while count >= 5 {
                count -= 5
                text.append(alphabet[Int(bits >> UInt32(count) & 31)])
            }
            bits &= 1 << UInt32(count) - 1
        }
        if count > 0 { text.append(alphabet[Int(bits << UInt32(5 - count) & 31)]) }
        return String(decoding: text, as: UTF8.self)
    }

    /// Reads either case, with or without padding, and over spaces and hyphens that people put in.
    /// - Returns: `nil` for anything else.
    package static func decode(_ text: String) -> [UInt8]? {
        var bytes: [UInt8] = []
        var (bits, count, letters) = (UInt32(0), 0, 0)
        var isPadded = false
        for byte in text.uppercased().utf8 where byte != UInt8(ascii: " ") && byte != UInt8(ascii: "-") {
            if byte == UInt8(ascii: "=") {
                isPadded = true
                continue
            }
            guard !isPadded, let value = alphabet.firstIndex(of: byte) else { return nil }
            bits = bits << 5 | UInt32(value)
            count += 5
            letters += 1
            if count >= 8 {
                count -= 8
                bytes.append(UInt8(bits >> UInt32(count) & 255))
            }
            bits &= 1 << UInt32(count) - 1
        }
        // 1, 3 and 6 letters are no whole number of bytes, and bits left over are zero.
        guard ![1, 3, 6].contains(letters % 8), bits == 0 else { return nil }
        return bytes
    }
}
