// What a rule may say of each condition: which numbers it has, within which bounds, and who may write one.

package import Store

package struct AlertTraits: Sendable {
    package enum Window: Sendable {
        /// Seconds that the condition has to hold before its alert opens.
        case holds(ClosedRange<Int>)
        /// Seconds that are counted over; what is reached opens at once.
        case counts(ClosedRange<Int>)

        package var range: ClosedRange<Int> {
            switch self {
            case .holds(let range), .counts(let range): range
            }
        }
    }

    package struct Threshold: Sendable {
        package let range: ClosedRange<Int>
        package let unit: String
        /// Whether the threshold itself is still good: more is wrong, and not as much.
        package let isExceeded: Bool

        fileprivate init(_ range: ClosedRange<Int>, _ unit: String, isExceeded: Bool = false) {
            self.range = range
            self.unit = unit
            self.isExceeded = isExceeded
        }
    }

    /// `nil` where it is so or not so.
    package let threshold: Threshold?
    /// Of what a share is taken, so many at least; `nil` where no share is taken.
    package let minimum: ClosedRange<Int>?
    package let window: Window
    /// Whether a vault may have rules of its own for it.
    package let isOfVaults: Bool
    /// Whether an alert is over by itself when the condition is; else somebody has to say so.
    package let isOverByItself: Bool
    /// Whether somebody may say that it is over: not where that would be untrue for as long as the condition holds.
    package let isOverByHand: Bool

    fileprivate init(
        threshold: Threshold? = nil, minimum: ClosedRange<Int>? = nil, window: Window, isOfVaults: Bool = false,
        isOverByItself: Bool = true, isOverByHand: Bool = false
    ) {
        self.threshold = threshold
        self.minimum = minimum
        self.window = window
        self.isOfVaults = isOfVaults
        self.isOverByItself = isOverByItself
        self.isOverByHand = isOverByHand
    }

    /// Seconds of a cool-down.
    package static let cooldown = 60...604_800
    /// Addresses that a vault's rule writes to.
    package static let recipients = 1...5
}

extension AlertCondition {
    package var traits: AlertTraits {
        let day = 86_400
        switch self {
        case .failureBacklog:
            return AlertTraits(
                threshold: .init(0...1_000_000_000, "failures", isExceeded: true), window: .holds(0...day),
                isOfVaults: true)
        case .brokerUnreachable, .brokerBlocked, .databaseUnreachable, .diskLow:
            return AlertTraits(window: .holds(0...day))
        case .publishStalled:
            return AlertTraits(threshold: .init(1...604_800, "seconds"), window: .holds(0...day), isOfVaults: true)
        case .runaway:
            return AlertTraits(
                threshold: .init(1...1_000_000, "cut-offs"), window: .counts(60...day), isOfVaults: true,
                isOverByHand: true)
        case .bounceRate:
            return AlertTraits(
                threshold: .init(1...100, "percent"), minimum: 1...AlertRepository.counted,
                window: .counts(300...day), isOfVaults: true, isOverByHand: true)
        case .refusals:
            return AlertTraits(
                threshold: .init(1...1_000_000, "refusals"), window: .counts(60...day), isOfVaults: true,
                isOverByHand: true)
        case .signInFailures:
            return AlertTraits(
                // Longer than this the attempts are not counted.
                threshold: .init(1...1_000_000, "failed sign-ins"), window: .counts(60...900), isOverByHand: true)
        case .auditChainBroken:
            return AlertTraits(window: .holds(0...day), isOverByItself: false, isOverByHand: true)
        }
    }
}
