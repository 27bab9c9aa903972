# The hooks before and after an installer of any loader. Before: golden's profile is put back, for installers list the systems that
# have a profile. After: the mark, also if the installer fails; no failure of the installer is hidden.
{ config, lib, pkgs, ... }:

let
  cfg = config.services.golden-generation;
  # NixOS lists the generations of the system profile for extlinux, and no other: golden gets a label and files of its own,
  # which its installer does not remove. It is the same installer, for another place.
  listGolden = installer: lib.optionalString cfg.listsGolden ''
    golden=$(${pkgs.coreutils}/bin/readlink -f /nix/var/nix/profiles/system-profiles/golden)
    if [ -e "$golden/kernel" ]; then
      ${installer} "$golden" -d /boot/golden -g 0 && {
        ${pkgs.coreutils}/bin/cat /boot/extlinux/extlinux.conf &&
          echo &&
          ${pkgs.gnused}/bin/sed -n '/^LABEL /,$p' /boot/golden/extlinux/extlinux.conf |
            ${pkgs.gnused}/bin/sed -e 's/^LABEL .*/LABEL golden/' -e 's/MENU LABEL .*/MENU LABEL NixOS - Golden/' \
              -e 's, \.\./nixos/, ../golden/nixos/,'
      } > /boot/extlinux/.golden.new &&
        ${pkgs.coreutils}/bin/mv /boot/extlinux/.golden.new /boot/extlinux/extlinux.conf &&
        ${pkgs.coreutils}/bin/sync || golden_failed "$?"
    fi
  '';
  # Trouble with it is told, and ends no installation.
  putBack = "${cfg.package}/bin/golden-verify --profile || :";
  listed = installer: pkgs.writeShellScript "list-golden-and-install" ''
    ${putBack}
    exec ${installer} "$@"
  '';
  marked = installer: pkgs.writeShellScript "install-and-mark" ''
    golden_status=0
    golden_failed() { if [ "$golden_status" -eq 0 ]; then golden_status=$1; fi; }
    ${putBack}
    ${installer} "$@" || golden_failed "$?"
    ${cfg.installCommands}${listGolden installer}
    ${cfg.package}/bin/golden-mark-pending "$1" || golden_failed "$?"
    exit "$golden_status"
  '';
in
{
  options.services.golden-generation = {
    marksInstaller = lib.mkOption {
      type = lib.types.bool;
      default = false;
      internal = true;
      description = "Whether the mark is put behind the installer of the boot loader, because that has no hook for it.";
    };
    listsGolden = lib.mkOption {
      type = lib.types.bool;
      default = false;
      internal = true;
      description = "Whether golden gets an entry in extlinux.conf.";
    };
    installCommands = lib.mkOption {
      type = lib.types.lines;
      default = "";
      internal = true;
      description = "What runs between the installer and the mark.";
    };
  };

  # A second declaration: whoever defines it, this is what NixOS gets.
  options.system.build.installBootLoader = lib.mkOption {
    apply = installer:
      if !cfg.enable then installer else if cfg.marksInstaller then marked installer else listed installer;
  };
}
