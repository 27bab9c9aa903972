# The options as a page for owners.
{ lib ? import ./lib.nix }:

let
  inherit (lib.evalModules {
    modules = [ ../module.nix ./stubs.nix ];
    specialArgs.utils = import ./utils.nix;
    specialArgs.pkgs = { callPackage = _: _: { type = "derivation"; outPath = "/nix/store/golden-generation"; }; };
  }) options;
  own = options.services.golden-generation;
  isOption = option: option._type or null == "option";
  shown = option: option ? type && !(option.internal or false);
  # Every option below these, with its name.
  below = prefix: options: lib.concatMap
    (name:
      let option = options.${name}; path = prefix + name; in
      if !isOption option then below "${path}." option
      else lib.optional (shown option) { inherit option path; }
        ++ below "${path}.<name>." (removeAttrs (option.type.getSubOptions or (_: { }) [ ]) [ "_module" ]))
    (lib.attrNames options);
  literal = value: if value._type or null == "literalExpression" then value.text else builtins.toJSON value;
  line = title: default: lib.optionalString (default != null) "*${title}:* `${literal default}`\n\n";
  # Lines of a description are as long as in the module.
  entry = { option, path }: ''
    ## `services.golden-generation.${path}`

    ${lib.removeSuffix "\n" option.description}

    *Type:* ${option.type.description}

  '' + line "Default" (option.defaultText or option.default or null)
  + line "Example" (option.example or null);
in
''
  # Options of `services.golden-generation`

  Generated from `nixos/options.nix`.

'' + lib.concatStrings (map entry (below "" own))
