// Whether a caller was cut off of late: one finding a caller, whatever the reasons.

package import Model
package import Store

extension AlertProbe {
    /// Callers that are looked at in one round.
    private static let callers = 500

    /// Whether a caller of a vault was cut off within the last quarter of an hour.
    package static func runaway(_ runaways: RunawayRepository, clock: any WallClock) -> AlertProbe {
        AlertProbe([.runaway]) {
            let since = clock.now().adding(seconds: -RunawayRepository.episode)
            guard let cuts = try? await runaways.cuts(since: since, limit: callers) else { return nil }
            return Dictionary(grouping: cuts) { [$0.vault.text, $0.caller] }.values.compactMap(finding)
        }
    }

    /// - Parameter cuts: one caller's, one a reason.
    private static func finding(_ cuts: [RunawayCut]) -> AlertFinding? {
        guard let last = cuts.max(by: { $0.lastAt < $1.lastAt }), let since = cuts.map(\.firstAt).min() else {
            return nil
        }
        let reasons = cuts.sorted { $0.reason < $1.reason }.map { cut in
            cut.cuts == 1 ? "once for \(cut.reason)" : "\(cut.cuts) times for \(cut.reason)"
        }
        return AlertFinding(
            .runaway, subject: "caller \(last.caller) of \(last.vault)", vault: last.vault,
            detail: "\(last.label) was cut off \(reasons.joined(separator: " and ")) since \(since); "
                + "the last time: \(last.detail)")
    }
}
