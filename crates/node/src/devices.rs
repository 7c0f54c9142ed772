//! Which device a round runs on: the node's options against the request's wish.

use protocol::Warning;
use serde::{Deserialize, Serialize};

/// The node's options for graphics processors.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceOptions {
    /// Rounds that ask for a GPU may have one.
    #[serde(default)]
    pub gpu: bool,
    /// The number of the GPU; implies `gpu`.
    #[serde(default)]
    pub gpu_num: Option<u32>,
    /// Every round runs on the GPU, whether it asks or not; implies `gpu`.
    #[serde(default)]
    pub gpu_only: bool,
}

/// What a round runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Device {
    /// The processor.
    Processor,
    /// The GPU of this number.
    Gpu(u32),
}

/// The device of a round, with what its researcher should know about the choice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// What the round runs on.
    pub device: Device,
    /// How that differs from what was asked for.
    pub warnings: Vec<Warning>,
}

impl DeviceOptions {
    /// Chooses for a request that says `use_gpu` or not, on a machine with so many usable GPUs.
    ///
    /// A GPU is used when one is there and the request asks for it where the node offers it, or the node insists.
    pub fn choose(self, use_gpu: bool, gpus: u32) -> Choice {
        let offered = self.gpu || self.gpu_only || self.gpu_num.is_some();
        let wanted = use_gpu && offered || self.gpu_only;
        let mut warnings = Vec::new();
        if use_gpu && !offered {
            warnings.push(Warning::GpuUnused);
        }
        if !wanted {
            return Choice { device: Device::Processor, warnings };
        }
        if gpus == 0 {
            warnings.push(Warning::GpuMissing);
            return Choice { device: Device::Processor, warnings };
        }
        if self.gpu_only && !use_gpu {
            warnings.push(Warning::GpuForced);
        }
        let number = self.gpu_num.unwrap_or(0);
        if number >= gpus {
            warnings.push(Warning::GpuNumber);
            return Choice { device: Device::Gpu(0), warnings };
        }
        Choice { device: Device::Gpu(number), warnings }
    }
}

/// How many GPUs the runtimes of this version can use: there is no GPU runtime yet.
pub const USABLE_GPUS: u32 = 0;

#[cfg(test)]
mod tests {
    use super::*;

    fn options(gpu: bool, gpu_num: Option<u32>, gpu_only: bool) -> DeviceOptions {
        DeviceOptions { gpu, gpu_num, gpu_only }
    }

    #[test]
    fn a_gpu_is_used_when_there_and_wanted_by_both_or_forced() {
        let rows = [
            (options(false, None, false), false, 1, Device::Processor, vec![]),
            (options(false, None, false), true, 1, Device::Processor, vec![Warning::GpuUnused]),
            (options(true, None, false), false, 1, Device::Processor, vec![]),
            (options(true, None, false), true, 1, Device::Gpu(0), vec![]),
            (options(true, None, false), true, 0, Device::Processor, vec![Warning::GpuMissing]),
            (options(false, Some(1), false), true, 2, Device::Gpu(1), vec![]),
            (options(false, Some(7), false), true, 2, Device::Gpu(0), vec![Warning::GpuNumber]),
            (options(false, None, true), false, 1, Device::Gpu(0), vec![Warning::GpuForced]),
            (options(false, None, true), false, 0, Device::Processor, vec![Warning::GpuMissing]),
        ];
        for (options, use_gpu, gpus, device, warnings) in rows {
            let expected = Choice { device, warnings };
            assert_eq!(options.choose(use_gpu, gpus), expected, "{options:?} {use_gpu} {gpus}");
        }
    }
}
