# GRUB, on BIOS and EFI: what boots by itself is the saved entry, what boots once is the next entry.
{ config, lib, pkgs, ... }:

let
  cfg = config.services.golden-generation;
  loader = config.boot.loader.grub;
  # What NixOS's `"saved"` means, without its other half: there, an entry that a person picks becomes the default.
  saved = "\"\${saved_entry}\"";
  default = toString loader.default;
  paths = map (boot: boot.path) loader.mirroredBoots;
  makeEnvironment = path: ''
    if [ ! -e ${path}/grub/grubenv ]; then
      ${pkgs.grub2}/bin/grub-editenv ${path}/grub/grubenv create && ${pkgs.coreutils}/bin/sync || golden_failed "$?"
    fi
  '';
  places = [ "/boot" ] ++ lib.filter (path: path != "/boot") paths;

  holder = config.fileSystems."/boot" or (config.fileSystems."/" or { });
  kind = holder.fsType or "auto";
  isWritable = lib.elem kind [ "auto" "ext2" "ext3" "ext4" "xfs" "vfat" ];
in
{
  imports = [ ../mark-hook.nix ];

  config = lib.mkIf (cfg.enable && loader.enable) {
    services.golden-generation = {
      backends = [ "grub" ];
      loaderSettings.loader = "grub";
      marksInstaller = true;
      # `grub-install` makes it, and does not run where there is no device to install to.
      installCommands = lib.concatStrings (map makeEnvironment places);
      mirroredBootPartitions = lib.filter (path: path != "/boot") paths;
    };

    boot.loader.grub.default = lib.mkDefault saved;

    warnings =
      lib.optional (default == "saved") ''
        services.golden-generation: with boot.loader.grub.default = "saved", an entry that is booted from a submenu boots from
        then on, even one that is to be booted once: a new generation that dies before its boot check (kernel, initrd) is not
        covered. Do not set it.
      ''
      ++ lib.optional (!isWritable) ''
        services.golden-generation: GRUB cannot write its environment block on ${kind}, so it boots nothing once: a new generation
        that dies before its boot check (kernel, initrd) is not covered. Put /boot on an ext4 of its own.
      '';

    assertions = [
      {
        assertion = lib.elem default [ saved "saved" ];
        message = ''
          services.golden-generation: boot.loader.grub.default is ${default}, so GRUB boots that whatever else is set. Do not set
          it; golden-generation sets it to the saved entry.
        '';
      }
      {
        assertion = paths == [ ] || lib.elem "/boot" paths;
        message = ''
          services.golden-generation: boot.loader.grub.mirroredBoots has ${toString paths}, and not /boot, which is looked after
          first. Mount one of them at /boot.
        '';
      }
    ];
  };
}
